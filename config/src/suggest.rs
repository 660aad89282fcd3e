//! "Did you mean": the nearest known word to one that is not known.

/// How alike two words must be to be offered; below it a suggestion only misleads.
const ALIKE: f64 = 0.75;

/// Returns the known word that is most like the given one, if any is like it at all.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word, &candidate.to_lowercase()), candidate))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Returns a hint that offers the nearest known word, or else lists what is known.
#[must_use]
pub fn hint(word: &str, known: &[&str], what: &str) -> String {
    match nearest(word, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => format!("there are no {what} here"),
        None => format!("known {what}: {}", list(known)),
    }
}

/// Returns the words in backticks, shortened where there are too many to read.
fn list(known: &[&str]) -> String {
    const SHOWN: usize = 12;
    let mut words: Vec<String> = known.iter().take(SHOWN).map(|word| format!("`{word}`")).collect();
    if known.len() > SHOWN {
        words.push(format!("and {} more", known.len() - SHOWN));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let known = ["investigations", "vm_assets", "users"];
        for (word, expected) in [
            ("investigation", Some("investigations")),
            ("VM_Assets", Some("vm_assets")),
            ("vmassets", Some("vm_assets")),
            ("user", Some("users")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(hint("zzz", &known[..2], "datasets"), "known datasets: `investigations`, `vm_assets`");
    }
}
