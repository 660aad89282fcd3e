//! The connector: the tenants of one account, and a reader for each of their partitions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use pipeline::batch::Reject;
use pipeline::{
    Batch, BudgetUse, Connector, Dataset, Error, ErrorKind, Partition, Region, Result, Tally, Tenant,
    TenantId, Timestamp,
};
use reqwest::header::HeaderName;

use super::config::Config;
use super::datasets::{self, Endpoint};
use super::reader::Reader;
use super::samples::Samples;
use super::{rejects, tenants};
use crate::http::{Http, HttpConfig, KeySource};
use crate::normalize::Room;

const HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("r7-organization-id"),
    HeaderName::from_static("r7-correlation-id"),
];

/// The platform, asked with one key.
#[derive(Debug)]
pub struct Rapid7 {
    config: Config,
    http: Arc<Http>,
    datasets: Vec<Arc<Dataset>>,
    endpoints: HashMap<&'static str, Arc<Endpoint>>,
    /// What their pages bring.
    rooms: HashMap<&'static str, Arc<Room>>,
    /// What tells whether tenants are told apart.
    samples: Arc<Samples>,
    /// What the last list of tenants told beside them.
    remarks: Mutex<Vec<String>>,
    elsewhere: Mutex<Vec<Tenant>>,
}

impl Rapid7 {
    /// Prepares to ask; nothing is asked yet.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the endpoint cannot be used.
    pub fn new(config: Config, key: Arc<dyn KeySource>) -> Result<Self> {
        let mut http = HttpConfig::new(&config.endpoint, HEADERS, "/validate");
        http.attempt_timeout = config.timeout;
        http.retry_time = config.retry_for;
        http.in_flight_per_region = config.in_flight_per_region;
        http.in_flight_per_tenant = config.in_flight_per_tenant;
        http.budgets.clone_from(&config.budget);
        http.budget_scope = config.budget_scope;
        let endpoints = datasets::endpoints();
        Ok(Self {
            http: Http::new(http, key)?,
            datasets: endpoints.iter().flat_map(|endpoint| endpoint.datasets.clone()).collect(),
            rooms: endpoints.iter().map(|endpoint| (endpoint.datasets[0].pull, Arc::default())).collect(),
            endpoints: endpoints
                .into_iter()
                .map(|endpoint| (endpoint.datasets[0].pull, Arc::new(endpoint)))
                .collect(),
            config,
            samples: Arc::default(),
            remarks: Mutex::default(),
            elsewhere: Mutex::default(),
        })
    }

    /// Reads the key, so that a missing one is told before anything is asked.
    ///
    /// # Errors
    /// Where no key can be read.
    pub async fn read_key(&self) -> Result<()> {
        self.http.read_key().await
    }

    /// Asks the platform whether a key that was just made is alive, and gives it a moment to become known.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] where it does not.
    pub async fn prove_key(&self) -> Result<()> {
        self.http.prove_key(&self.config.home_region).await
    }

    /// Asks the platform whether the key is alive.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] where it is not.
    pub async fn check_key(&self) -> Result<()> {
        self.http.check_key(&self.config.home_region).await
    }

    pub(super) fn http(&self) -> &Arc<Http> {
        &self.http
    }

    /// Returns the primary account's own organization and region.
    pub(super) fn home(&self) -> (TenantId, Region) {
        (self.config.parent_organization.clone(), self.config.home_region.clone())
    }

    /// Returns the path that lists the tenants: all of the account's, or those of one user.
    fn list_path(&self) -> String {
        match &self.config.list_by_user {
            Some(user) => self.config.user_list_path.replace("{user_id}", user),
            None => self.endpoints["organizations"].request.path.to_owned(),
        }
    }

    fn endpoint(&self, partition: &Partition) -> Result<&Arc<Endpoint>> {
        self.endpoints.get(partition.pull()).ok_or_else(|| {
            Error::new(ErrorKind::Bug, format!("read {}: no endpoint fills it", partition.pull()))
        })
    }

    fn reader(&self, partition: &Partition) -> Result<Reader> {
        let endpoint = self.endpoint(partition)?;
        let path = if partition.pull() == "organizations" {
            self.list_path()
        } else {
            endpoint.request.path.to_owned()
        };
        let client = self.http.tenant(partition.tenant.id.clone(), partition.region.clone())?;
        let room = self.rooms[partition.pull()].clone();
        Ok(Reader::new(endpoint.clone(), &path, client, partition, room, self.samples.clone()))
    }
}

#[async_trait]
impl Connector for Rapid7 {
    fn datasets(&self) -> &[Arc<Dataset>] {
        &self.datasets
    }

    fn account(&self) -> Tenant {
        self.config.account()
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        let account = self.config.parent_organization.clone();
        let client = self.http.tenant(account, self.config.home_region.clone())?;
        let listed = tenants::list(&client, &self.list_path()).await?;
        *self.remarks.lock().expect("no holder panics") = listed.remarks;
        *self.elsewhere.lock().expect("no holder panics") = listed.elsewhere;
        Ok(listed.tenants)
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.lock().expect("no holder panics").clone()
    }

    fn elsewhere(&self) -> Vec<Tenant> {
        self.elsewhere.lock().expect("no holder panics").clone()
    }

    fn read(&self, partition: &Partition) -> BoxStream<'static, Result<Batch>> {
        match self.reader(partition) {
            Ok(reader) => reader.batches(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn count(&self, partition: &Partition) -> Result<Tally> {
        self.reader(partition)?.count().await
    }

    fn decode(&self, partition: &Partition, set_aside: &[Reject]) -> Result<Vec<Batch>> {
        rejects::decode(self.endpoint(partition)?, partition, set_aside)
    }

    fn key_fingerprint(&self) -> String {
        self.http.key_fingerprint().unwrap_or_default()
    }

    fn scrub(&self, text: &str) -> String {
        self.http.scrub(text)
    }

    fn platform_time(&self) -> Option<Timestamp> {
        self.http.platform_time()
    }

    fn budgets(&self) -> Vec<BudgetUse> {
        self.http.budgets()
    }
}
