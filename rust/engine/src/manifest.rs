//! What a publisher says of a model file before it is fetched, signed: its name, licence and needs, and the hash of each part of it.
//!
//! ```text
//! {"payload": "{\"version\":1,\"name\":\"words\",...}", "signature": "128 hexadecimal digits"}
//! ```
//!
//! The payload is a JSON text within a JSON string, and the signature is Ed25519 (RFC 8032) over the bytes of that text: there are no
//! two ways to write what was signed. It is checked before anything of the payload is looked at.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Error, Result, from_hexadecimal, hexadecimal};

/// Version of the format that is written and read.
const VERSION: u32 = 1;

/// The usual length of a chunk, in bytes: what a killed download loses at most.
pub const CHUNK: u64 = 4 << 20;

/// Chunks are hashed in pieces of this many bytes.
const PIECE: usize = 1 << 16;

/// What a publisher says of a model, beside what is in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What it is to be called in a store.
    pub name: String,
    /// Grows with every model that is published under the name.
    pub sequence: u64,
    /// Under what it may be used.
    pub licence: Licence,
    /// Bytes of memory that a device must have, as its system counts them, which is less than its maker says.
    pub minimum_memory: u64,
}

/// The licence of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licence {
    /// Its name, such as an SPDX identifier.
    pub name: String,
    /// Where its text is.
    pub url: Option<String>,
}

/// What is known of a model file that may be yet to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    /// What its publisher says.
    #[serde(flatten)]
    pub about: About,
    /// Length of the file in bytes.
    pub length: u64,
    sha256: Digest,
    chunk_length: u64,
    chunks: Vec<Digest>,
}

/// A SHA-256, written in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Digest([u8; 32]);

/// The file, as it travels.
#[derive(Serialize, Deserialize)]
struct Envelope {
    payload: String,
    signature: String,
}

/// What every version of a payload says.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Manifest {
    /// The manifest of the file at `path`, in chunks of `chunk_length` bytes.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read, [`Error::BadModelName`], [`Error::BadManifest`] for an empty file.
    pub fn of_file(path: &Path, about: About, chunk_length: u64) -> Result<Self> {
        let failed = |source| Error::Io { doing: "read", path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let (mut whole, mut chunks, mut length) = (Sha256::new(), Vec::new(), 0);
        loop {
            let mut chunk = Sha256::new();
            let read = for_each_piece(&mut (&mut file).take(chunk_length), |piece| {
                whole.update(piece);
                chunk.update(piece);
            });
            match read.map_err(failed)? {
                0 => break,
                read => length += read,
            }
            chunks.push(Digest(chunk.finalize().into()));
        }
        let sha256 = Digest(whole.finalize().into());
        let manifest = Self { version: VERSION, about, length, sha256, chunk_length, chunks };
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as it travels, signed with a secret key.
    pub fn sign(&self, secret_key: &[u8; 32]) -> String {
        let payload = serde_json::to_string(self).expect("a manifest is plain data");
        let signature = hexadecimal(&SigningKey::from_bytes(secret_key).sign(payload.as_bytes()).to_bytes());
        serde_json::to_string(&Envelope { payload, signature }).expect("an envelope is plain data")
    }

    /// Reads a manifest that one of `public_keys` must have signed.
    ///
    /// # Errors
    /// [`Error::BadManifest`] where it is none, [`Error::UntrustedManifest`], [`Error::ManifestVersion`] for a later version,
    /// [`Error::BadManifestKey`] and [`Error::BadModelName`].
    pub fn verify(text: &[u8], public_keys: &[[u8; 32]]) -> Result<Self> {
        let bad = |why: &str| Error::BadManifest { why: why.into() };
        let Envelope { payload, signature } =
            serde_json::from_slice(text).map_err(|_| bad("it is no JSON object with a payload and a signature"))?;
        let signature =
            from_hexadecimal(&signature).ok_or_else(|| bad("its signature is not 128 hexadecimal digits"))?;
        let signature = Signature::from_bytes(&signature);
        let mut trusted = false;
        for key in public_keys {
            let key = VerifyingKey::from_bytes(key).map_err(|_| Error::BadManifestKey)?;
            trusted |= key.verify_strict(payload.as_bytes(), &signature).is_ok();
        }
        if !trusted {
            return Err(Error::UntrustedManifest);
        }
        let versioned: Versioned = serde_json::from_str(&payload).map_err(|_| bad("it has no version"))?;
        if versioned.version > VERSION {
            return Err(Error::ManifestVersion { version: versioned.version, reads: VERSION });
        }
        let manifest: Self =
            serde_json::from_str(&payload).map_err(|_| bad("a field is missing or of another kind"))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Compares the file at `path` with what is said here of it.
    ///
    /// # Errors
    /// [`Error::OtherFile`] where it is another one, [`Error::Io`].
    pub fn check_file(&self, path: &Path) -> Result<()> {
        let found = Self::of_file(path, self.about.clone(), self.chunk_length)?;
        let other = |why| Err(Error::OtherFile { path: path.to_owned(), why });
        if found.length != self.length {
            return other(format!("it has {} bytes instead of {}", found.length, self.length));
        }
        if let Some(index) = found.chunks.iter().zip(&self.chunks).position(|(found, named)| found != named) {
            let Range { start, end } = self.chunk(index);
            return other(format!("something from byte {start} to {end} is different"));
        }
        if found.sha256 == self.sha256 { Ok(()) } else { other("its SHA-256 is different".into()) }
    }

    /// SHA-256 of the whole file.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256.0
    }

    /// How many chunks the file has.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Which bytes of the file a chunk is.
    pub(crate) fn chunk(&self, index: usize) -> Range<u64> {
        let start = index as u64 * self.chunk_length;
        start..self.length.min(start.saturating_add(self.chunk_length))
    }

    /// The chunk that a byte of the file is in.
    pub(crate) fn chunk_at(&self, offset: u64) -> usize {
        (offset / self.chunk_length) as usize
    }

    /// Whether a chunk has this SHA-256.
    pub(crate) fn is_chunk(&self, index: usize, sha256: [u8; 32]) -> bool {
        self.chunks[index].0 == sha256
    }

    /// Refuses what no file can be.
    fn check(&self) -> Result<()> {
        crate::model_store::check_name(&self.about.name)?;
        let sound = self.length > 0
            && self.chunk_length > 0
            && self.length.div_ceil(self.chunk_length) == self.chunks.len() as u64;
        if sound { Ok(()) } else { Err(Error::BadManifest { why: "its chunks do not make up its length".into() }) }
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        from_hexadecimal(&text).map(Self).ok_or("a SHA-256 is 64 hexadecimal digits")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        hexadecimal(&digest.0)
    }
}

/// The public key, which an app carries, of a secret key, which only the publisher has: any 32 bytes that nobody can guess.
pub fn public_key(secret_key: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(secret_key).verifying_key().to_bytes()
}

/// SHA-256 of all that `source` still has.
pub(crate) fn sha256_of(source: &mut impl Read) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    for_each_piece(source, |piece| hasher.update(piece))?;
    Ok(hasher.finalize().into())
}

/// Reads `source` to its end; returns how many bytes that were.
fn for_each_piece(source: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut piece = vec![0; PIECE];
    let mut total = 0;
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(total),
            Ok(read) => {
                take(&piece[..read]);
                total += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn about() -> About {
        let licence = Licence { name: "CC0-1.0".into(), url: Some("https://example.org/cc0".into()) };
        About { name: "words".into(), sequence: 3, licence, minimum_memory: 1 << 30 }
    }

    fn manifest(content: &[u8], chunk: u64) -> Result<Manifest> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        Manifest::of_file(file.path(), about(), chunk)
    }

    #[test]
    fn it_says_what_the_file_is_and_comes_back_as_it_went() {
        let content: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        let made = manifest(&content, 70_000).unwrap();
        assert_eq!((made.length, made.chunks()), (200_000, 3));
        assert_eq!(made.sha256()[..], Sha256::digest(&content)[..]);
        for index in 0..3 {
            let Range { start, end } = made.chunk(index);
            assert!(made.is_chunk(index, Sha256::digest(&content[start as usize..end as usize]).into()));
            assert_eq!((made.chunk_at(start), made.chunk_at(end - 1)), (index, index));
        }
        let keys = [[1; 32], public_key(&SECRET)];
        assert_eq!(Manifest::verify(made.sign(&SECRET).as_bytes(), &keys[1..]).unwrap(), made);
        assert_eq!(manifest(&content[..140_000], 70_000).unwrap().chunks(), 2);
        assert!(matches!(manifest(b"", 70_000), Err(Error::BadManifest { .. })));
    }

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // RFC 8032, section 7.1, test 2: one byte, 0x72.
        let secret = from_hexadecimal("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(hexadecimal(&public_key(&secret)), public);
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        // It is trusted, and only then turns out to be no payload.
        let text = format!(r#"{{"payload": "r", "signature": "{signature}"}}"#);
        let error = Manifest::verify(text.as_bytes(), &[public_key(&secret)]);
        assert!(matches!(error, Err(Error::BadManifest { .. })), "{error:?}");
    }

    #[test]
    fn what_was_changed_or_signed_by_others_is_not_trusted() {
        let text = manifest(b"a model", 4).unwrap().sign(&SECRET);
        let keys = [public_key(&SECRET)];
        for keys in [&[][..], &[public_key(&[8; 32])]] {
            assert!(matches!(Manifest::verify(text.as_bytes(), keys), Err(Error::UntrustedManifest)));
        }
        let changed = text.replace(r#"\"sequence\":3"#, r#"\"sequence\":4"#);
        assert_ne!(changed, text);
        assert!(matches!(Manifest::verify(changed.as_bytes(), &keys), Err(Error::UntrustedManifest)));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let outcome = Manifest::verify(&bytes, &keys);
            assert!(
                matches!(outcome, Err(Error::UntrustedManifest | Error::BadManifest { .. })),
                "byte {at}: {outcome:?}"
            );
        }
        // The neutral element has signed everything, where nobody looks.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert!(Manifest::verify(text.as_bytes(), &[neutral]).is_err());
    }

    #[test]
    fn another_file_is_told_and_where_it_differs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let made = manifest(b"a sound model", 4).unwrap();
        for (content, why) in [
            (&b"a sound mode"[..], "it has 12 bytes instead of 13"),
            (b"a soUnd model", "something from byte 4 to 8 is different"),
            (b"a sound modeL", "something from byte 12 to 13 is different"),
        ] {
            std::fs::write(file.path(), content).unwrap();
            let error = made.check_file(file.path()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        std::fs::write(file.path(), b"a sound model").unwrap();
        made.check_file(file.path()).unwrap();
    }

    #[test]
    fn a_payload_that_says_nonsense_is_refused_in_words() {
        let sound = manifest(b"a model", 4).unwrap();
        let sign = |manifest: &Manifest| manifest.sign(&SECRET).into_bytes();
        let verify = |text: Vec<u8>| Manifest::verify(&text, &[public_key(&SECRET)]);
        let later = verify(sign(&Manifest { version: 9, ..sound.clone() }));
        assert!(matches!(later, Err(Error::ManifestVersion { version: 9, reads: VERSION })));
        for (length, chunk_length) in [(0, 4), (7, 0), (9, 4), (u64::MAX, 1), (4, 4)] {
            let unsound = Manifest { length, chunk_length, ..sound.clone() };
            assert!(matches!(verify(sign(&unsound)), Err(Error::BadManifest { .. })), "{length} {chunk_length}");
        }
        let path = Manifest { about: About { name: "../words".into(), ..about() }, ..sound };
        assert!(matches!(verify(sign(&path)), Err(Error::BadModelName { .. })));
        for text in ["", "{}", "[]", r#"{"payload": "", "signature": "12"}"#] {
            assert!(matches!(verify(text.into()), Err(Error::BadManifest { .. })), "{text}");
        }
    }
}
