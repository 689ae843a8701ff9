//! Durations as people write them: `200ms`, `30s`, `5m`, `1h`, `7d`.

use std::time::Duration;

use syn::LitStr;

/// A duration; not zero.
pub(crate) fn parse(literal: &LitStr) -> syn::Result<Duration> {
    let text = literal.value();
    let fail = |fault: &str| {
        let message = format!(
            "invalid duration {text:?}: {fault}\n\
             help: a whole number and a unit (ms, s, m, h or d), e.g. \"200ms\", \"30s\" or \"5m\""
        );
        syn::Error::new(literal.span(), message)
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(fail("it does not begin with a digit"));
    }
    let milliseconds_each = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(fail("it has no unit")),
        other => return Err(fail(&format!("{other:?} is not a unit"))),
    };
    let milliseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds_each));
    match milliseconds {
        None => Err(fail("it is too long")),
        Some(0) => Err(fail("it must be longer than zero")),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn parsed(text: &str) -> Result<Duration, String> {
        parse(&LitStr::new(text, Span::call_site())).map_err(|error| error.to_string())
    }

    #[test]
    fn every_unit_is_understood() {
        for (text, milliseconds) in
            [("200ms", 200), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(parsed(text), Ok(Duration::from_millis(milliseconds)));
        }
    }

    #[test]
    fn what_is_not_a_duration_says_why() {
        for (text, fault) in [
            ("", "begin with a digit"),
            ("ms", "begin with a digit"),
            ("-5s", "begin with a digit"),
            ("30", "no unit"),
            ("30 s", "\" s\" is not a unit"),
            ("1.5s", "\".5s\" is not a unit"),
            ("0ms", "longer than zero"),
            ("99999999999999999999s", "too long"),
            ("18446744073709551615d", "too long"),
        ] {
            let message = parsed(text).unwrap_err();
            assert!(message.contains(fault), "{text}: {message}");
        }
    }
}
