//! A run file in the making: every part can be exchanged, so that a test shows only what it is about.

use simulator::Dataset;

/// Every dataset of a tenant that can be pulled.
pub const DATASETS: [Dataset; 9] = [
    Dataset::Investigations,
    Dataset::Alerts,
    Dataset::Users,
    Dataset::Accounts,
    Dataset::Assets,
    Dataset::VmAssets,
    Dataset::VmFindings,
    Dataset::VmVulnerabilities,
    Dataset::VmScans,
];

/// The parts of a run file.
#[derive(Debug, Clone)]
pub struct RunFile {
    /// The primary account's organization.
    pub parent: String,
    /// The primary account's region.
    pub home: String,
    /// Where the key is, as TOML.
    pub key: String,
    /// The template of the base URLs.
    pub endpoint: String,
    /// More lines of `[connector.rapid7]`.
    pub connector: String,
    /// Lines that follow the connector: `[tenants]`, `[[tenant]]`.
    pub tenants: String,
    /// The names of the datasets, each with more lines of its own.
    pub datasets: Vec<(String, String)>,
    /// Where the lake is.
    pub url: String,
    /// More lines at the end.
    pub rest: String,
}

impl RunFile {
    /// Returns the same with other datasets.
    #[must_use]
    pub fn of(mut self, datasets: &[Dataset]) -> Self {
        self.datasets = datasets.iter().map(|dataset| (dataset.name().to_owned(), String::new())).collect();
        self
    }

    /// Returns the same with one more dataset, and lines of its own.
    #[must_use]
    pub fn and(mut self, dataset: Dataset, lines: &str) -> Self {
        self.datasets.push((dataset.name().to_owned(), lines.to_owned()));
        self
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { parent, home, key, endpoint, connector, tenants, url, rest, .. } = self;
        let dataset =
            |(name, lines): &(String, String)| format!("\n[[dataset]]\nname = \"{name}\"\n{lines}\n");
        let datasets: String = self.datasets.iter().map(dataset).collect();
        format!(
            "[connector.rapid7]\nparent_organization = \"{parent}\"\nhome_region = \"{home}\"\nkey = {key}\n\
             endpoint = \"{endpoint}\"\n{connector}\n{tenants}\n{datasets}\n[sink.parquet]\nurl = \"{url}\"\n{rest}\n"
        )
    }
}
