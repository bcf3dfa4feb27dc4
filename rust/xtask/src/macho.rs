//! What a static library for iOS has to be, read from the archive of Mach-O files itself.

use crate::shell::Result;
use object::macho::{self, Platform};
use object::read::archive::ArchiveFile;
use object::read::macho::MachOFile64;
use object::{Architecture, Endianness, Object, ObjectSymbol};
use std::collections::BTreeSet;

/// What the library is for, as its object files say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Device,
    Simulator,
}

/// Everything that is wrong with a library, in sentences; nothing, if all is well.
pub fn complaints(library: &[u8], system: System, surface: &BTreeSet<String>) -> Result<Vec<String>> {
    let facts = Facts::read(library).map_err(|error| format!("this is no archive of Mach-O files: {error}"))?;
    Ok(facts.complaints(system, surface))
}

/// What a library says of itself.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// The global symbols, without the underscore that the system puts before each.
    defined: BTreeSet<String>,
    /// What the object files are for.
    platforms: Vec<Platform>,
}

impl Facts {
    fn read(library: &[u8]) -> object::Result<Self> {
        let mut facts = Self::default();
        for member in ArchiveFile::parse(library)?.members() {
            let file = MachOFile64::<Endianness>::parse(member?.data(library)?)?;
            facts.platforms.push(platform(&file)?);
            for symbol in file.symbols().filter(|symbol| symbol.is_global() && symbol.is_definition()) {
                let name = symbol.name()?;
                facts.defined.insert(name.strip_prefix('_').unwrap_or(name).to_owned());
            }
        }
        Ok(facts)
    }

    fn complaints(&self, system: System, surface: &BTreeSet<String>) -> Vec<String> {
        let wanted = match system {
            System::Device => macho::PLATFORM_IOS,
            System::Simulator => macho::PLATFORM_IOSSIMULATOR,
        };
        let missing =
            surface.difference(&self.defined).map(|name| format!("it lacks a function of the surface: {name}"));
        let mut complaints: Vec<String> = missing.collect();
        let others = self.platforms.iter().filter(|&&platform| platform != wanted).count();
        if others > 0 || self.platforms.is_empty() {
            let all = self.platforms.len();
            complaints.push(format!("{others} of its {all} object files are not for {system:?}"));
        }
        complaints
    }
}

/// What an object file is for. The command before the one that names it, which objects for old systems have, told the simulator
/// from a device by the processor.
fn platform(file: &MachOFile64<'_, Endianness>) -> object::Result<Platform> {
    if let Some((version, _)) = file.build_version()? {
        return Ok(version.platform.get(file.endian()));
    }
    let mut commands = file.macho_load_commands()?;
    while let Some(command) = commands.next()? {
        if command.cmd() == macho::LC_VERSION_MIN_IPHONEOS {
            let is_device = file.architecture() == Architecture::Aarch64;
            return Ok(if is_device { macho::PLATFORM_IOS } else { macho::PLATFORM_IOSSIMULATOR });
        }
    }
    Ok(macho::PLATFORM_UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surface() -> BTreeSet<String> {
        BTreeSet::from(["predict".to_owned()])
    }

    #[test]
    fn a_good_library_has_no_complaint_and_every_fault_is_seen() {
        let good = Facts { defined: surface(), platforms: vec![macho::PLATFORM_IOS; 2] };
        assert_eq!(good.complaints(System::Device, &surface()), [""; 0]);
        assert_eq!(good.complaints(System::Simulator, &surface()), ["2 of its 2 object files are not for Simulator"]);
        let mixed = Facts { platforms: vec![macho::PLATFORM_IOSSIMULATOR, macho::PLATFORM_UNKNOWN], ..good.clone() };
        assert_eq!(mixed.complaints(System::Simulator, &surface()), ["1 of its 2 object files are not for Simulator"]);
        let empty = Facts::default().complaints(System::Device, &surface());
        assert_eq!(
            empty,
            ["it lacks a function of the surface: predict", "0 of its 0 object files are not for Device"]
        );
    }

    #[test]
    fn facts_are_read() {
        let facts = Facts::read(&archive(&object())).unwrap();
        assert_eq!(facts.platforms, [macho::PLATFORM_IOSSIMULATOR]);
        assert_eq!(facts.defined, surface());
        // The older command, and a command that says nothing of a platform.
        let mut old = object();
        old[32] = 0x25;
        assert_eq!(Facts::read(&archive(&old)).unwrap().platforms, [macho::PLATFORM_IOS]);
        old[32] = 0x1b;
        assert_eq!(Facts::read(&archive(&old)).unwrap().platforms, [macho::PLATFORM_UNKNOWN]);
    }

    #[test]
    fn what_is_no_archive_of_objects_is_an_error() {
        assert!(Facts::read(b"\x7fELF").is_err());
        assert!(Facts::read(&archive(b"\x7fELF")).is_err());
    }

    /// An archive of one file.
    fn archive(file: &[u8]) -> Vec<u8> {
        let header = format!("!<arch>\n{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "a.o/", 0, 0, 0, 644, file.len());
        [header.as_bytes(), file].concat()
    }

    /// An object file for the simulator that defines `_predict` and imports `_malloc`, and says nothing else.
    fn object() -> Vec<u8> {
        let strings = b"\0_predict\0_malloc\0";
        let (header, version, table) = (32_u32, 24_u32, 24_u32);
        let symbols = header + version + table;
        let file = [0xfeed_facf, 0x0100_000c, 0, 1, 2, version + table, 0, 0];
        let version_command = [0x32, version, macho::PLATFORM_IOSSIMULATOR.0, 15 << 16, 15 << 16, 0];
        let length = u32::try_from(strings.len()).unwrap();
        let table_command = [0x2, table, symbols, 2, symbols + 2 * 16, length];
        // The place of the name; external, defined in a section or undefined; the value.
        let (defined, undefined) = ([1, 0x010f, 0, 0], [10, 0x01, 0, 0]);
        let words = [&file[..], &version_command, &table_command, &defined, &undefined].concat();
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend(strings);
        bytes
    }
}
