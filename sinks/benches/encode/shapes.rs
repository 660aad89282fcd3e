//! Records like those of the platform: alerts, assets with lists inside, findings.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    StructBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use pipeline::{Dataset, testing};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A dataset and how to make a page of it.
pub(crate) struct Shape {
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) records: fn(u64) -> RecordBatch,
    pub(crate) pages: u64,
}

pub(crate) fn all() -> [Shape; 3] {
    let shape = |name, records: fn(u64) -> RecordBatch, pages| {
        let schema = records(0).schema();
        let dataset = Dataset { schema, ..(*testing::dataset(name, "idr")).clone() };
        Shape { dataset: Arc::new(dataset), records, pages }
    };
    [
        shape("alerts", alert_records, 800),
        shape("vm_assets", asset_records, 300),
        shape("findings", finding_records, 400),
    ]
}

pub(crate) fn alerts() -> Shape {
    let [alerts, ..] = all();
    alerts
}

/// The draws of one page.
struct Page {
    random: SmallRng,
    rows: usize,
    first: u64,
}

impl Page {
    fn new(number: u64, rows: usize) -> Self {
        Self { random: SmallRng::seed_from_u64(number), rows, first: number * rows as u64 }
    }

    fn text(&mut self, mut one: impl FnMut(&mut SmallRng, u64) -> String) -> ArrayRef {
        Arc::new(
            (0..self.rows as u64)
                .map(|row| Some(one(&mut self.random, self.first + row)))
                .collect::<StringArray>(),
        )
    }

    fn ids(&mut self, prefix: &'static str) -> ArrayRef {
        self.text(|random, _| format!("{prefix}{:032x}", random.random::<u128>()))
    }

    fn one_of(&mut self, choices: &'static [&'static str]) -> ArrayRef {
        self.text(|random, _| choices[random.random_range(0..choices.len())].to_owned())
    }

    fn times(&mut self) -> ArrayRef {
        let begin = 1_780_000_000_000_000 + self.first as i64 * 1_000_000;
        let times = (0..self.rows as i64)
            .map(|row| begin + row * 1_000_000 + self.random.random_range(0..900_000) / 1000 * 1000);
        Arc::new(TimestampMicrosecondArray::from(times.collect::<Vec<_>>()).with_timezone("UTC"))
    }

    fn numbers(&mut self, most: i64) -> ArrayRef {
        Arc::new((0..self.rows).map(|_| Some(self.random.random_range(0..most))).collect::<Int64Array>())
    }

    fn extra(&mut self) -> ArrayRef {
        let rows = (0..self.rows).map(|_| {
            let some = self.random.random_bool(0.1);
            some.then(|| format!("{{\"risk_note\":{}}}", self.random.random_range(0..1_000_000)))
        });
        Arc::new(rows.collect::<StringArray>())
    }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), *name != "id"))
        .collect();
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns.into_iter().map(|(_, column)| column).collect(),
    )
    .expect("the columns are as long as each other")
}

fn alert_records(number: u64) -> RecordBatch {
    let mut page = Page::new(number, 500);
    let columns = vec![
        ("id", page.ids("alert:")),
        (
            "rrn",
            page.text(|random, _| {
                format!(
                    "rrn:alerts:us:0a1b2c3d-0000-4000-8000-000000000001:alert:1:{:032x}",
                    random.random::<u128>()
                )
            }),
        ),
        (
            "title",
            page.text(|random, _| {
                format!(
                    "Suspicious process - host {} started rule {}",
                    random.random_range(0..400),
                    random.random_range(0..60)
                )
            }),
        ),
        (
            "type",
            page.one_of(&["Attacker Behavior Detected", "Account Visits Suspicious Link", "Custom Alert"]),
        ),
        ("priority", page.one_of(&["LOW", "MEDIUM", "HIGH", "CRITICAL"])),
        ("status", page.one_of(&["OPEN", "INVESTIGATING", "CLOSED"])),
        ("disposition", page.one_of(&["UNDECIDED", "BENIGN", "MALICIOUS"])),
        ("rule_id", page.numbers(60)),
        (
            "assignee_email",
            page.text(|random, _| format!("analyst{}@example.com", random.random_range(0..25))),
        ),
        (
            "source_ip",
            page.text(|random, _| {
                format!(
                    "10.{}.{}.{}",
                    random.random_range(0..4),
                    random.random_range(0..255),
                    random.random_range(0..255)
                )
            }),
        ),
        ("created_at", page.times()),
        ("alerted_at", page.times()),
        ("ingested_at", page.times()),
        ("extra", page.extra()),
    ];
    batch(columns)
}

fn asset_records(number: u64) -> RecordBatch {
    let mut page = Page::new(number, 500);
    let addresses = lists(&mut page);
    let columns = vec![
        (
            "id",
            page.text(|random, _| {
                format!("{:032x}-default-asset-{}", random.random::<u128>(), random.random_range(0..90_000))
            }),
        ),
        (
            "host_name",
            page.text(|random, row| format!("srv-{row:06}.{}.corp.example", random.random_range(0..30))),
        ),
        (
            "ip",
            page.text(|random, _| {
                format!(
                    "10.{}.{}.{}",
                    random.random_range(0..4),
                    random.random_range(0..255),
                    random.random_range(0..255)
                )
            }),
        ),
        (
            "mac",
            page.text(|random, _| {
                format!(
                    "00:50:56:{:02x}:{:02x}:{:02x}",
                    random.random::<u8>(),
                    random.random::<u8>(),
                    random.random::<u8>()
                )
            }),
        ),
        (
            "os_description",
            page.one_of(&[
                "Microsoft Windows Server 2019 Datacenter Edition 1809",
                "Ubuntu Linux 22.04",
                "Red Hat Enterprise Linux 8.9",
                "Microsoft Windows 11 23H2",
            ]),
        ),
        ("os_family", page.one_of(&["Windows", "Linux"])),
        (
            "risk_score",
            Arc::new(
                (0..500).map(|_| Some(page.random.random_range(0.0..30_000.0))).collect::<Float64Array>(),
            ),
        ),
        ("critical_vulnerabilities", page.numbers(80)),
        ("severe_vulnerabilities", page.numbers(400)),
        (
            "assessed_for_policies",
            Arc::new((0..500).map(|_| Some(page.random.random_bool(0.5))).collect::<BooleanArray>()),
        ),
        ("last_scan_end", page.times()),
        ("tags", addresses),
        ("extra", page.extra()),
    ];
    batch(columns)
}

/// A list of name and value pairs a row.
fn lists(page: &mut Page) -> ArrayRef {
    let fields = vec![Field::new("name", DataType::Utf8, true), Field::new("type", DataType::Utf8, true)];
    let mut builder = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for _ in 0..page.rows {
        for _ in 0..page.random.random_range(0..8) {
            let values = builder.values();
            let name = format!("tag-{}", page.random.random_range(0..300));
            values.field_builder::<StringBuilder>(0).expect("text").append_value(name);
            values.field_builder::<StringBuilder>(1).expect("text").append_value("CUSTOM");
            values.append(true);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

fn finding_records(number: u64) -> RecordBatch {
    let mut page = Page::new(number, 1000);
    let columns = vec![
        ("id", page.ids("")),
        ("asset_id", page.text(|_, row| format!("0a1b2c3d-0000-4000-8000-000000000001-default-asset-{}", row / 40))),
        ("vulnerability_id", page.text(|random, _| format!("msft-cve-2026-{}", random.random_range(1000..6000)))),
        ("check_id", page.text(|random, _| format!("WINDOWS-HOTFIX-MS{}", random.random_range(1000..6000)))),
        ("port", page.numbers(20)),
        ("protocol", page.one_of(&["tcp", "udp"])),
        ("status", page.one_of(&["VULNERABLE_EXPL", "VULNERABLE_VERS"])),
        ("proof", page.text(|random, _| format!("<p>Vulnerable OS: Microsoft Windows Server 2019 Datacenter Edition 1809</p><p>Based on the result of the check: KB50{} is not installed; version 10.0.17763.{}</p>", random.random_range(10_000..90_000), random.random_range(1..9000)))),
        ("first_found", page.times()),
        ("last_found", page.times()),
        ("extra", page.extra()),
    ];
    batch(columns)
}
