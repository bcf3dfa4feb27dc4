//! What an Android library has to be, read from the ELF file itself.

use crate::shell::Result;
use object::elf;
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Object, ObjectSymbol};
use std::collections::BTreeSet;

/// The pages of newer devices; a library that is aligned to less does not load there.
const PAGE: u64 = 16 * 1024;

/// What a library is compared with.
pub struct Rules<'a> {
    pub soname: &'a str,
    /// The libraries that it may need.
    pub libraries: &'a BTreeSet<String>,
    /// The symbols that it may import.
    pub imports: &'a BTreeSet<String>,
    /// The symbols that it exports, neither less nor more.
    pub exports: &'a BTreeSet<String>,
}

/// Everything that is wrong with a library, in sentences; nothing, if all is well.
pub fn complaints(library: &[u8], rules: &Rules<'_>) -> Result<Vec<String>> {
    Ok(Facts::read(library).map_err(|error| format!("this is no ELF library: {error}"))?.complaints(rules))
}

/// Whether a phone with pages of 16 KiB can load a library.
pub fn is_for_large_pages(library: &[u8]) -> Result<bool> {
    let facts = Facts::read(library).map_err(|error| format!("this is no ELF library: {error}"))?;
    Ok(!facts.alignments.is_empty() && facts.alignments.iter().all(|&alignment| alignment >= PAGE))
}

/// What a library says of itself.
#[derive(Clone, Debug, Default)]
struct Facts {
    soname: Option<String>,
    needed: BTreeSet<String>,
    /// Undefined symbols but for weak ones: code asks whether those are there before it uses them.
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    /// Of every segment that is loaded, in bytes.
    alignments: Vec<u64>,
    /// Whether the stack may be executed; without a word about it, it may.
    executable_stack: bool,
    /// Whether code is written to when it is loaded.
    text_relocations: bool,
}

impl Facts {
    fn read(library: &[u8]) -> object::Result<Self> {
        let file = ElfFile64::<object::Endianness>::parse(library)?;
        let endian = file.endian();
        let mut facts = Self { executable_stack: true, ..Self::default() };
        for header in file.elf_program_headers() {
            if header.p_type(endian) == elf::PT_LOAD {
                facts.alignments.push(header.p_align(endian));
            } else if header.p_type(endian) == elf::PT_GNU_STACK {
                facts.executable_stack = header.p_flags(endian).contains(elf::PF_X);
            }
        }
        let dynamic = file.elf_dynamic_table()?;
        for entry in &dynamic {
            let text = || dynamic.string(entry).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            match entry.tag {
                elf::DT_NEEDED => facts.needed.extend([text()?]),
                elf::DT_SONAME => facts.soname = Some(text()?),
                elf::DT_TEXTREL => facts.text_relocations = true,
                elf::DT_FLAGS => facts.text_relocations |= entry.val & elf::DF_TEXTREL.0 != 0,
                _ => {}
            }
        }
        for symbol in file.dynamic_symbols() {
            let name = symbol.name()?.to_owned();
            if symbol.is_undefined() && !symbol.is_weak() && !name.is_empty() {
                facts.imports.insert(name);
            } else if symbol.is_definition() {
                facts.exports.insert(name);
            }
        }
        Ok(facts)
    }

    fn complaints(&self, rules: &Rules<'_>) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut complain_of = |names: Vec<&String>, what: &str| {
            complaints.extend(names.into_iter().map(|name| format!("{what} {name}")));
        };
        complain_of(self.needed.difference(rules.libraries).collect(), "it needs a library that no app brings along:");
        complain_of(self.imports.difference(rules.imports).collect(), "it imports what bionic.txt does not name:");
        complain_of(self.exports.difference(rules.exports).collect(), "it exports what is not of the surface:");
        complain_of(rules.exports.difference(&self.exports).collect(), "it lacks a function of the surface:");
        if self.soname.as_deref() != Some(rules.soname) {
            complaints.push(format!("its name in itself is {:?} and not {}", self.soname, rules.soname));
        }
        if self.alignments.is_empty() {
            complaints.push("it has no segment to load".to_owned());
        }
        for alignment in self.alignments.iter().filter(|&&alignment| alignment < PAGE) {
            complaints.push(format!("a segment is aligned to {alignment} bytes, less than a page of {PAGE}"));
        }
        if self.executable_stack {
            complaints.push("its stack may be executed".to_owned());
        }
        if self.text_relocations {
            complaints.push("its code is written to when it is loaded".to_owned());
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn good() -> Facts {
        Facts {
            soname: Some("libx.so".to_owned()),
            needed: names(&["libc.so"]),
            imports: names(&["malloc"]),
            exports: names(&["predict"]),
            alignments: vec![PAGE, 4 * PAGE],
            executable_stack: false,
            text_relocations: false,
        }
    }

    /// What is wrong after a change for the worse.
    fn after(worsen: impl FnOnce(&mut Facts)) -> Vec<String> {
        let mut facts = good();
        worsen(&mut facts);
        let (libraries, imports, exports) =
            (names(&["libc.so", "libm.so"]), names(&["malloc", "free"]), names(&["predict"]));
        let rules = Rules { soname: "libx.so", libraries: &libraries, imports: &imports, exports: &exports };
        facts.complaints(&rules)
    }

    /// A change for the worse, and words of the sentence about it.
    type Fault = (fn(&mut Facts), &'static str);

    #[test]
    fn a_good_library_has_no_complaint() {
        assert_eq!(after(|_| ()), [""; 0]);
    }

    #[test]
    fn every_fault_is_seen() {
        let faults: [Fault; 10] = [
            (|facts| facts.soname = None, "its name in itself is None"),
            (|facts| facts.soname = Some("liby.so".to_owned()), "liby.so"),
            (|facts| facts.needed.extend(["libgcc_s.so".to_owned()]), "no app brings along: libgcc_s.so"),
            (|facts| facts.imports.extend(["quick_exit".to_owned()]), "bionic.txt does not name: quick_exit"),
            (|facts| facts.exports.extend(["memcpy".to_owned()]), "not of the surface: memcpy"),
            (|facts| facts.exports.clear(), "lacks a function of the surface: predict"),
            (|facts| facts.alignments.clear(), "no segment"),
            (|facts| facts.alignments[1] = 4096, "aligned to 4096 bytes"),
            (|facts| facts.executable_stack = true, "stack may be executed"),
            (|facts| facts.text_relocations = true, "written to"),
        ];
        for (worsen, sentence) in faults {
            let complaints = after(worsen);
            assert!(complaints.len() == 1 && complaints[0].contains(sentence), "{sentence}: {complaints:?}");
        }
    }

    #[test]
    fn what_is_no_library_is_an_error() {
        assert!(Facts::read(b"!<arch>\n").is_err());
    }

    /// This program, which the system's linker made, and the same with bytes of it changed.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
    mod of_this_program {
        use super::*;

        fn program() -> Vec<u8> {
            std::fs::read(std::env::current_exe().unwrap()).unwrap()
        }

        /// The place of the first program header of a type.
        fn header(program: &[u8], kind: elf::ProgramType) -> usize {
            let file = ElfFile64::<object::Endianness>::parse(program).unwrap();
            let index =
                file.elf_program_headers().iter().position(|header| header.p_type(file.endian()) == kind).unwrap();
            64 + 56 * index
        }

        fn word(bytes: &[u8], place: usize) -> usize {
            usize::from_le_bytes(bytes[place..place + 8].try_into().unwrap())
        }

        #[test]
        fn facts_are_read() {
            let facts = Facts::read(&program()).unwrap();
            assert!(facts.needed.iter().any(|name| name.starts_with("libc.so")), "{:?}", facts.needed);
            assert!(facts.imports.contains("malloc"));
            assert!(!facts.alignments.is_empty() && facts.alignments.iter().all(|&alignment| alignment >= 4096));
            assert!(!facts.executable_stack && !facts.text_relocations);
            assert_eq!(facts.soname, None);
        }

        #[test]
        fn flags_are_read() {
            let mut program = program();
            // The flags follow the type; PF_X is the lowest bit.
            let stack = header(&program, elf::PT_GNU_STACK);
            program[stack + 4] |= 1;
            assert!(Facts::read(&program).unwrap().executable_stack);
            // The alignment is the last field.
            let load = header(&program, elf::PT_LOAD);
            program[load + 48..load + 56].copy_from_slice(&64_u64.to_le_bytes());
            assert_eq!(Facts::read(&program).unwrap().alignments[0], 64);
        }

        #[test]
        fn text_relocations_are_read() {
            let mut program = program();
            let dynamic = header(&program, elf::PT_DYNAMIC);
            let table = word(&program, dynamic + 8);
            // The second entry: the first may be the only library that is needed.
            program[table + 16..table + 24].copy_from_slice(&22_u64.to_le_bytes());
            assert!(Facts::read(&program).unwrap().text_relocations);
        }
    }
}
