use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Where a mistake is, and its first words.
fn refused(text: &str) -> (usize, usize, String, String) {
    let Mistake {
        line,
        column,
        path,
        problem,
    } = read(text.as_bytes()).expect_err(text);
    (line, column, path, problem)
}

#[test]
fn numbers_are_taken_as_they_are_written() {
    for (text, value) in [
        ("0", json!(0)),
        ("-1", json!(-1)),
        ("9007199254740993", json!(9_007_199_254_740_993_u64)),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("0.1", json!(0.1)),
        ("0.10", json!(0.1)),
        ("1e22", json!(1e22)),
        ("10000000000000000000000", json!(1e22)),
        ("1E+2", json!(100.0)),
        ("5e-324", json!(5e-324)),
        ("1.7976931348623157e308", json!(f64::MAX)),
        ("0e99999999999999999999", json!(0.0)),
        ("0.30000000000000004", json!(0.300_000_000_000_000_04)),
    ] {
        assert_eq!(read(text.as_bytes()), Ok(value), "{text}");
    }
    for text in ["-0", "-0.0", "-0e5"] {
        assert_eq!(read(text.as_bytes()).unwrap().to_string(), "-0.0", "{text}");
    }
}

#[test]
fn numbers_that_cannot_be_held_are_refused_with_their_place() {
    for number in [
        "18446744073709551616",
        "-9223372036854775809",
        "12345678901234567890123",
        "0.10000000000000000001",
        "3.141592653589793238462643383279502884197",
        "1e400",
        "-1e400",
        "1e-400",
        "4e-324",
        "1e99999999999999999999",
    ] {
        let text = format!("{{\"a\": [1,\n  {{\"b/c\": {number}}}]}}");
        let (line, column, path, problem) = refused(&text);
        assert_eq!((line, column, path.as_str()), (2, 11, "/a/1/b~1c"), "{number}");
        assert!(problem.contains("send it as a string"), "{problem}");
    }
    assert_eq!(
        read(b"\"1e400 and 0.10000000000000000001\""),
        Ok(json!("1e400 and 0.10000000000000000001"))
    );
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    let depth = format!("{}1{}", "[".repeat(128), "]".repeat(128));
    for (text, line, column, path, words) in [
        (
            "{\"a\": 1, \"b\": {\"c\": 1, \"\\u0063\": 2}}",
            1,
            31,
            "/b/c",
            "the object has this name twice",
        ),
        ("", 1, 0, "", "there is nothing"),
        ("{\"a\": [1, 2", 1, 11, "/a/1", "the text ends too early"),
        ("{\"a\": \"\\ud83d\"}", 1, 14, "/a", "half of a surrogate pair"),
        ("{\"a\": \"\\ude00\"}", 1, 13, "/a", "half of a surrogate pair"),
        ("[1] 2", 1, 5, "", "something follows"),
        ("[NaN]", 1, 2, "/0", "expected value"),
        ("{a: 1}", 1, 2, "/", "key must be a string"),
        (depth.as_str(), 1, 128, "/0/0", "127 levels"),
        ("\u{feff}{}", 1, 1, "", "byte order mark"),
    ] {
        let mistake = refused(text);
        assert_eq!((mistake.0, mistake.1), (line, column), "{text}: {mistake:?}");
        assert!(mistake.2.starts_with(path), "{text}: {mistake:?}");
        assert!(mistake.3.contains(words), "{text}: {mistake:?}");
    }
    let broken = read(b"{\"a\": \"x\xff\"}").unwrap_err();
    assert_eq!((broken.column, broken.path.as_str()), (9, "/a"));
    let long = refused(&format!("{{\"{}\": 1e400}}", "n".repeat(100_000)));
    assert!(long.2.chars().count() <= MAX_PATH + 1);
}

proptest! {
    /// Also in the last digit, which `serde_json` is off by at times.
    #[test]
    fn what_is_held_comes_back(floats in prop::collection::vec(any::<f64>().prop_filter("finite", |f| f.is_finite()), 1..8),
                               whole in any::<i64>(), large in any::<u64>()) {
        let text = json!({"floats": floats, "whole": whole, "large": large}).to_string();
        let value = read(text.as_bytes()).unwrap();
        prop_assert_eq!(value.to_string(), text);
        for (read, float) in value["floats"].as_array().unwrap().iter().zip(floats) {
            prop_assert_eq!(read.as_f64().unwrap().to_bits(), float.to_bits());
        }
    }

    #[test]
    fn a_decimal_is_exact_or_refused(digits in "[1-9][0-9]{0,39}", fraction in "[0-9]{0,30}", exponent in -420_i32..420) {
        let text = format!("{digits}.{fraction}0e{exponent}");
        if let Ok(value) = read(text.as_bytes()) {
            let (given, taken): (bigdecimal::BigDecimal, bigdecimal::BigDecimal) =
                (text.parse().unwrap(), value.to_string().parse().unwrap());
            prop_assert_eq!(given, taken);
        } else {
            // Fifteen digits are always held.
            let significant = format!("{digits}{fraction}");
            let significant = significant.trim_end_matches('0').len();
            prop_assert!(significant > 15 || exponent.abs() > 260, "{} refused", text);
        }
    }

    #[test]
    fn any_bytes_are_read_as_serde_json_reads_them(bytes in prop::collection::vec(prop::sample::select(&b"{}[]:,\"\\u0e.-1 \nnultrefas\xc3\xa4"[..]), 0..40)) {
        match (read(&bytes), serde_json::from_slice::<Value>(&bytes)) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours.to_string(), theirs.to_string()),
            (Ok(ours), Err(_)) => prop_assert!(false, "{} taken", ours),
            (Err(_), _) => {}
        }
    }
}
