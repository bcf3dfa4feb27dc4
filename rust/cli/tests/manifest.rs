//! `nibble manifest`: keys, manifests, and files that are not what a manifest says.

mod common;

use std::fs;

use common::{Workplace, content, outcome};

/// Runs `nibble manifest` with these words, of which none has a space in it.
fn manifest(place: &Workplace, args: &str) -> (String, String, Option<i32>) {
    let args: Vec<_> = ["manifest"].into_iter().chain(args.split(' ')).collect();
    outcome(&place.command(&args).output().unwrap())
}

const MAKE: &str = "make model --name words --licence CC0-1.0 --minimum-memory 1000 --sequence 7 --key secret";

#[test]
fn what_was_made_is_checked_with_the_public_key_alone() {
    let place = Workplace::new();
    let model = content(5_000_000);
    fs::write(place.path("model"), &model).unwrap();
    let (public, err, code) = manifest(&place, "key secret");
    assert_eq!((err.as_str(), code), ("", Some(0)));
    let public = public.trim_end();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(place.path("secret")).unwrap()) & 0o777, 0o600);

    let (made, err, code) = manifest(&place, MAKE);
    assert_eq!((err.as_str(), code), ("", Some(0)));
    assert!(!made.contains(fs::read_to_string(place.path("secret")).unwrap().trim_end()));
    fs::write(place.path("made"), &made).unwrap();
    let check = format!("check model --manifest made --public-key {public}");
    let (out, err, code) = manifest(&place, &check);
    assert_eq!((err.as_str(), code), ("", Some(0)));
    assert_eq!(out, "model is words, sequence number 7, under CC0-1.0, for devices with 1000 bytes of memory\n");

    let refused = |args: &str, why: &str| {
        let (out, err, code) = manifest(&place, args);
        assert_eq!((out.as_str(), code), ("", Some(1)), "{args}: {err}");
        assert!(err.starts_with("error: ") && err.contains(why) && err.lines().count() == 1, "{args}: {err}");
    };
    let other = manifest(&place, "key other").0;
    refused(format!("check model --manifest made --public-key {other}").trim_end(), "none of the given keys");
    refused(&format!("check made --manifest made --public-key {public}"), "instead of 5000000");
    refused(&format!("check model --manifest model --public-key {public}"), "cannot use the manifest");
    let mut changed = model;
    changed[4_999_999] ^= 1;
    fs::write(place.path("model"), changed).unwrap();
    refused(&check, "from byte 4194304 to 5000000 is different");
    fs::write(place.path("made"), made.replace("words", "swords")).unwrap();
    refused(&check, "was changed since");
}

#[test]
fn keys_are_neither_written_over_nor_guessed() {
    let place = Workplace::new();
    fs::write(place.path("model"), "a model").unwrap();
    fs::write(place.path("secret"), "my diary").unwrap();
    for (args, why) in [
        ("key secret", "cannot create secret"),
        (MAKE, "secret holds no key"),
        ("check model --manifest nothing --public-key 00", "--public-key takes 64"),
    ] {
        let (out, err, code) = manifest(&place, args);
        assert!(out.is_empty() && code != Some(0) && err.contains(why), "{args}: {err}");
        assert!(!err.contains("diary"), "{err}");
    }
    assert_eq!(fs::read(place.path("secret")).unwrap(), b"my diary");
    fs::remove_file(place.path("secret")).unwrap();
    manifest(&place, "key secret");
    let (_, err, code) = manifest(&place, &MAKE.replace("words", "../words"));
    assert!(code == Some(1) && err.contains("a model's name is"), "{err}");
}
