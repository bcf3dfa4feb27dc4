//! One file over HTTP(S), continued by a Range request where it broke off.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar;
use ureq::http::{Response, StatusCode, header};

use super::Trouble;
use crate::failure::Result;
use crate::registry::Wanted;
use crate::terminal::byte_bar;

/// Connections in a row that may bring nothing before the source is given up.
const FRUITLESS: u32 = 3;
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);

/// Brings `part` to the full size of `wanted`. Returns whether anything that was there before was kept.
pub fn fetch(url: &str, wanted: Wanted, part: &Path) -> Result<bool, Trouble> {
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(part)
        .map_err(|e| Trouble::writing(part, &e))?;
    let mut have = file.metadata().map_err(|e| Trouble::writing(part, &e))?.len();
    if have > wanted.size {
        file.set_len(0).map_err(|e| Trouble::writing(part, &e))?;
        have = 0;
    }
    let resumed = have > 0;

    let bar = byte_bar(wanted.name, wanted.size);
    bar.set_position(have);
    bar.reset_eta();
    let mut fruitless = 0;
    while have < wanted.size {
        let before = have;
        match continue_from(url, have, wanted.size, &mut file, part, &bar) {
            Ok(()) => {}
            Err(Broke::For(trouble)) => return Err(trouble),
            Err(Broke::Line(why)) => {
                have = file.metadata().map_err(|e| Trouble::writing(part, &e))?.len();
                fruitless = if have > before { 0 } else { fruitless + 1 };
                if fruitless == FRUITLESS {
                    return Err(Trouble::Source(format!("{why}; {have} of {} bytes arrived", wanted.size)));
                }
                log::debug!("{url}: {why}; continuing from byte {have}");
                continue;
            }
        }
        have = wanted.size;
    }
    bar.finish_and_clear();
    Ok(resumed)
}

/// How one connection ended before the end of the file.
enum Broke {
    /// Another connection may bring the rest.
    Line(String),
    /// It is no use.
    For(Trouble),
}

/// One request: everything from byte `from` on, appended to `file`.
fn continue_from(
    url: &str,
    from: u64,
    size: u64,
    file: &mut File,
    part: &Path,
    bar: &ProgressBar,
) -> Result<(), Broke> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .http_status_as_error(false)
        .user_agent(concat!("nibble/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    // A compressed body would have other byte positions.
    let mut request = agent.get(url).header(header::ACCEPT_ENCODING, "identity");
    if from > 0 {
        request = request.header(header::RANGE, format!("bytes={from}-"));
    }
    let response = request.call().map_err(|error| match error {
        ureq::Error::HostNotFound => gone(NO_HOST.to_owned()),
        ureq::Error::Io(e) if is_no_host(&e) => gone(NO_HOST.to_owned()),
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::ConnectionRefused => gone("connection refused".to_owned()),
        ureq::Error::Timeout(_) => Broke::Line("no answer in time".to_owned()),
        ureq::Error::Io(e) => Broke::Line(e.to_string()),
        other => gone(other.to_string()),
    })?;

    let start = match response.status() {
        StatusCode::PARTIAL_CONTENT => from,
        StatusCode::OK => 0,
        status => return Err(gone(format!("the server answered {status}"))),
    };
    if let Some(offered) = whole_size(&response)
        && offered != size
    {
        return Err(gone(format!("it offers another file: {offered} bytes, not {size}")));
    }

    let here = |e: io::Error| Broke::For(Trouble::writing(part, &e));
    file.set_len(start).map_err(here)?;
    file.seek(SeekFrom::Start(start)).map_err(here)?;
    bar.set_position(start);
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    let mut have = start;
    while have < size {
        let n = match body.read(&mut buffer) {
            Ok(0) => return Err(Broke::Line("the connection was closed early".to_owned())),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Broke::Line(e.to_string())),
        };
        let n = n.min((size - have) as usize);
        file.write_all(&buffer[..n]).map_err(here)?;
        have += n as u64;
        bar.set_position(have);
    }
    Ok(())
}

const NO_HOST: &str = "the host was not found; is there a network?";

/// std has no kind for it, only its own words on Unix and the system's on Windows.
fn is_no_host(error: &io::Error) -> bool {
    let text = error.to_string();
    text.contains("failed to lookup address") || text.contains("No such host is known")
}

fn gone(why: String) -> Broke {
    Broke::For(Trouble::Source(why))
}

/// The size of the whole file, as far as the server says it.
fn whole_size<T>(response: &Response<T>) -> Option<u64> {
    let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    match response.status() {
        StatusCode::PARTIAL_CONTENT => text(header::CONTENT_RANGE)?.rsplit('/').next()?.parse().ok(),
        _ => text(header::CONTENT_LENGTH)?.parse().ok(),
    }
}
