//! The query part of a request's target, decoded.

/// The parameters of a request in their order; a name may come more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands after the question mark.
    pub(crate) fn parse(text: &str) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        };
        Self(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// Returns the first value of a name; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// Returns every value of a name.
    pub(crate) fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the parameters as text, without those of some names.
    pub(crate) fn without(&self, names: &[&str]) -> String {
        let mut text = String::new();
        for (name, value) in self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())) {
            // A null byte is no part of a parameter that anybody sends.
            text.extend([name, "\0", value, "\0"]);
        }
        text
    }

    /// Returns the parts of a comma-separated value; `None` when it isn't given.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        self.get(name).map(|value| value.split(',').map(str::trim).collect())
    }

    /// Returns a whole number within bounds, or says what is wrong with it.
    pub(crate) fn number(
        &self,
        name: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, String> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number: u64 = text.parse().map_err(|_| format!("{name} must be a whole number"))?;
        if bounds.contains(&number) {
            Ok(number)
        } else {
            Err(format!("{name} must be between {} and {}", bounds.start(), bounds.end()))
        }
    }

    /// Returns whether a switch is on, or says that it is neither on nor off.
    pub(crate) fn switch(&self, name: &str, default: bool) -> Result<bool, String> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(format!("{name} must be true or false")),
        }
    }

    /// Returns a time in milliseconds since 1970, or says that it is none.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, String> {
        self.get(name)
            .map(|text| time_ms(text).ok_or_else(|| format!("{name} must be an ISO-8601 time")))
            .transpose()
    }
}

/// Returns the milliseconds since 1970 of an ISO time, rounded up: bounds between two milliseconds belong to the later.
pub(crate) fn time_ms(text: &str) -> Option<i64> {
    let time: chrono::DateTime<chrono::Utc> = text.parse().ok()?;
    Some(time.timestamp_millis() + i64::from(!time.timestamp_subsec_micros().is_multiple_of(1000)))
}

/// Undoes percent encoding and `+`; what is no valid encoding stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let coded = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match coded.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query =
            Query::parse("sort=created_time%2CASC&sort=rrn,DESC&size=20&empty=&plus=a+b&bad=%zz%&flag");
        assert_eq!(query.all("sort").collect::<Vec<_>>(), ["created_time,ASC", "rrn,DESC"]);
        assert_eq!(query.get("plus"), Some("a b"));
        assert_eq!(query.get("bad"), Some("%zz%"));
        assert_eq!((query.get("empty"), query.get("flag"), query.get("none")), (None, None, None));
        assert_eq!(query.number("size", 5, 1..=100), Ok(20));
        assert_eq!(query.number("index", 5, 0..=9), Ok(5));
        assert!(query.number("size", 5, 1..=10).is_err());
        assert!(query.number("plus", 5, 1..=10).is_err());
        assert!(query.switch("plus", true).is_err());
    }
}
