//! The small query language of the vulnerability API: comparisons of attributes joined by `&&` and `||`.

use chrono::{DateTime, Utc};

use crate::data::Dataset;
use crate::data::world::Row;
use crate::data::{vm_assets, vm_vulnerabilities};

/// A query: it holds when all comparisons of any of its alternatives hold; the empty one always holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Criteria(Vec<Vec<Comparison>>);

#[derive(Debug, Clone, PartialEq)]
struct Comparison {
    attribute: Attribute,
    operator: Operator,
    values: Vec<String>,
    /// The first value where a number or a time is compared.
    number: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Attribute {
    Id,
    HostName,
    Address,
    RiskScore,
    LastScanEnd,
    Severity,
    Modified,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Contains,
    StartsWith,
}

// Longer spellings first, so that `>=` isn't read as `>`.
const OPERATORS: [(&str, Operator); 10] = [
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("!=", Operator::Unequal),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("IN", Operator::In),
    ("CONTAINS", Operator::Contains),
    ("STARTS WITH", Operator::StartsWith),
    ("STARTS_WITH", Operator::StartsWith),
];

impl Criteria {
    /// Reads a query about assets (`of` is [`Dataset::VmAssets`]) or definitions.
    pub(crate) fn parse(text: &str, of: Dataset) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let alternative =
            |part: &str| split(part, "&&").into_iter().map(|text| comparison(text, of)).collect();
        split(text, "||").into_iter().map(alternative).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the query asks for nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a row satisfies the query.
    pub(crate) fn holds(&self, row: &Row) -> bool {
        self.0.is_empty() || self.0.iter().any(|all| all.iter().all(|one| one.holds(row)))
    }
}

/// Splits at a mark outside quotes.
fn split<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        quoted ^= byte == b'\'';
        if !quoted && at >= start && text.as_bytes()[at..].starts_with(mark.as_bytes()) {
            parts.push(&text[start..at]);
            start = at + mark.len();
        }
    }
    parts.push(&text[start..]);
    parts
}

fn comparison(text: &str, of: Dataset) -> Result<Comparison, String> {
    let wrong = || format!("The query {} seems to be invalid format", text.trim());
    let text_of = text.trim();
    let end = text_of.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').ok_or_else(wrong)?;
    let (name, rest) = text_of.split_at(end);
    let rest = rest.trim_start();
    let (spelling, operator) =
        OPERATORS.iter().find(|(spelling, _)| rest.starts_with(spelling)).ok_or_else(wrong)?;
    let attribute = attribute(name, of).ok_or_else(wrong)?;
    let values = values(rest[spelling.len()..].trim(), *operator).ok_or_else(wrong)?;
    let value = values.first().map_or("", String::as_str);
    let number = match attribute {
        Attribute::LastScanEnd | Attribute::Modified => time_ms(value).ok_or_else(wrong)?,
        _ => value.parse().unwrap_or(f64::NAN),
    };
    Ok(Comparison { attribute, operator: *operator, values, number })
}

fn attribute(name: &str, of: Dataset) -> Option<Attribute> {
    let (prefix, bare) = name.rsplit_once('.').unwrap_or(("", name));
    let of_assets = of == Dataset::VmAssets;
    if !matches!((prefix, of_assets), ("", _) | ("asset", true) | ("vulnerability", false)) {
        return None;
    }
    match (bare, of_assets) {
        ("id", _) => Some(Attribute::Id),
        ("name" | "host_name", true) => Some(Attribute::HostName),
        ("ipv4" | "ip", true) => Some(Attribute::Address),
        ("risk_score", true) => Some(Attribute::RiskScore),
        ("last_scan_end", true) => Some(Attribute::LastScanEnd),
        ("severity", false) => Some(Attribute::Severity),
        ("modified", false) => Some(Attribute::Modified),
        _ => None,
    }
}

fn values(text: &str, operator: Operator) -> Option<Vec<String>> {
    let unquoted = |text: &str| {
        let text = text.trim();
        let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        Some(inner.unwrap_or(text).to_owned()).filter(|value| !value.is_empty() && !value.contains('\''))
    };
    if operator == Operator::In {
        split(text.strip_prefix('[')?.strip_suffix(']')?, ",").into_iter().map(unquoted).collect()
    } else {
        unquoted(text).map(|value| vec![value])
    }
}

impl Comparison {
    fn holds(&self, row: &Row) -> bool {
        match self.attribute {
            Attribute::LastScanEnd => self.numbers(vm_assets::last_scan_end_ms(row) as f64),
            Attribute::Modified => self.numbers(vm_vulnerabilities::modified_ms(row) as f64),
            Attribute::RiskScore => self.numbers(vm_assets::risk_tenths(row) as f64 / 10.0),
            Attribute::Id => self.texts(&row.key()),
            Attribute::HostName => self.texts(&vm_assets::host_name(row).unwrap_or_default()),
            Attribute::Address => self.texts(&vm_assets::address(row)),
            Attribute::Severity => {
                self.texts(vm_vulnerabilities::SEVERITIES[vm_vulnerabilities::severity(row)])
            }
        }
    }

    fn numbers(&self, value: f64) -> bool {
        let other = self.number;
        match self.operator {
            Operator::Equal | Operator::In => value == other,
            Operator::Unequal => value != other,
            Operator::Less => value < other,
            Operator::LessOrEqual => value <= other,
            Operator::Greater => value > other,
            Operator::GreaterOrEqual => value >= other,
            Operator::Contains | Operator::StartsWith => false,
        }
    }

    fn texts(&self, value: &str) -> bool {
        let other = self.values.first().map_or("", String::as_str);
        match self.operator {
            Operator::Equal => value.eq_ignore_ascii_case(other),
            Operator::Unequal => !value.eq_ignore_ascii_case(other),
            Operator::In => self.values.iter().any(|other| value.eq_ignore_ascii_case(other)),
            Operator::Less => value < other,
            Operator::LessOrEqual => value <= other,
            Operator::Greater => value > other,
            Operator::GreaterOrEqual => value >= other,
            Operator::Contains => value.contains(other),
            Operator::StartsWith => value.starts_with(other),
        }
    }
}

fn time_ms(text: &str) -> Option<f64> {
    text.parse::<DateTime<Utc>>().ok().map(|time| time.timestamp_millis() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_or_refused() {
        fn check(text: &str, of: Dataset, expected: Option<usize>) {
            let read = Criteria::parse(text, of);
            assert_eq!(
                read.as_ref().ok().map(|criteria| criteria.0.iter().map(Vec::len).sum()),
                expected,
                "{text}: {read:?}"
            );
        }
        let (assets, definitions) = (Dataset::VmAssets, Dataset::VmVulnerabilities);
        check("", assets, Some(0));
        check("last_scan_end > 2025-03-01T00:00:00.000Z", assets, Some(1));
        check("asset.name STARTS WITH 'srv' && asset.ipv4 = 10.0.0.1", assets, Some(2));
        check("id IN ['a && b', 'c'] || risk_score >= 5.5", assets, Some(2));
        check("severity IN ['Critical', 'Severe']", definitions, Some(1));
        check("severity IN ['Critical']", assets, None);
        check("asset.severity = 'x'", definitions, None);
        check("last_scan_end > soon", assets, None);
        check("nonsense", assets, None);
        check("id ~ 'x'", assets, None);
        check("id IN 'x'", assets, None);
        check("id = ", assets, None);
    }
}
