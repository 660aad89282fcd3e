//! What a key is called that takes another's place: the old name and the day.

use pipeline::Timestamp;

/// Returns a name that none of the others has; the day of an earlier rotation gives way to this one's.
pub(super) fn successor(name: &str, taken: &[&str], now: Timestamp) -> String {
    let base = without_day(name);
    let day = now.format("%Y-%m-%d");
    let dated = format!("{base}-{day}");
    let numbered = (2..).map(|number| format!("{dated}-{number}"));
    let mut names = std::iter::once(dated.clone()).chain(numbered);
    names.find(|name| !taken.contains(&name.as_str())).expect("there is always a next number")
}

/// Returns a name without the day, and the number behind it, that a rotation added.
fn without_day(name: &str) -> &str {
    let unnumbered = match name.rsplit_once('-') {
        Some((rest, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            rest
        }
        _ => name,
    };
    [name, unnumbered].into_iter().find_map(undated).unwrap_or(name)
}

fn undated(name: &str) -> Option<&str> {
    let (rest, day) = name.split_at_checked(name.len().checked_sub("-2026-11-24".len())?)?;
    let is_day = chrono::NaiveDate::parse_from_str(day, "-%Y-%m-%d").is_ok();
    Some(rest).filter(|rest| is_day && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, taken: &[&str], expected: &str) {
        let now = "2026-11-24T10:00:00Z".parse().expect("an instant");
        assert_eq!(successor(name, taken, now), expected, "{name} {taken:?}");
    }

    #[test]
    fn a_name_is_dated_and_does_not_grow() {
        check("etl", &[], "etl-2026-11-24");
        check("etl", &["etl-2026-11-24"], "etl-2026-11-24-2");
        check("etl-2026-11-24", &["etl-2026-11-24"], "etl-2026-11-24-2");
        check("etl-2026-11-24-2", &["etl-2026-11-24", "etl-2026-11-24-2"], "etl-2026-11-24-3");
        check("etl-2025-01-31-7", &[], "etl-2026-11-24");
        check("etl-2", &[], "etl-2-2026-11-24");
        check("etl-2026-99-24", &[], "etl-2026-99-24-2026-11-24");
        check("-2026-11-24", &[], "-2026-11-24-2026-11-24");
        check("", &[], "-2026-11-24");
        check("clé-2026-11-24", &[], "clé-2026-11-24");
    }
}
