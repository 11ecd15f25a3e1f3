use super::*;

/// Returns a module that only consists of its .modinfo.
pub(crate) fn module(lines: &[&str]) -> Vec<u8> {
    use object::write::Object;
    use object::{Architecture, BinaryFormat, Endianness, SectionKind};
    let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let section = file.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
    let text: String = ["author=A"].iter().chain(lines).map(|line| format!("{line}\0")).collect();
    file.append_section_data(section, text.as_bytes(), 1);
    file.write().expect("it fits")
}

#[test]
fn dependencies_of_a_module_are_packed_and_loaded_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("crypto")).expect("a folder");
    for (name, lines) in [
        ("a", &["depends=b,c", "softdep=pre: sum nothing post: other"][..]),
        ("b", &["depends=c,built_in"]),
        ("c", &["depends="]),
        ("other", &[]),
        ("crypto/sum-fast", &["alias=sum"]),
        ("crypto/sum_generic", &["alias=crypto-sum", "alias=sum"]),
    ] {
        std::fs::write(folder.path().join(format!("{name}.ko")), module(lines)).expect("a file");
    }
    let (mut image, mut modules) = (Image::new(), Modules::default());
    let kernel = Kernel::of_folder(folder.path()).expect("files");
    assert!(modules.add(&mut image, &kernel, "a").expect("it is there"));
    assert!(!modules.add(&mut image, &kernel, "built_in").expect("nothing is wrong"));
    assert!(has(&image, "c") && !has(&image, "other") && !has(&image, "built_in"));
    let Some((_, Node::File(text))) = image.get(NEEDS) else { panic!("what needs what") };
    assert_eq!(text.text(), "a: c b sum_generic\nb: c\n");
    std::fs::write(folder.path().join("builtin"), "x\nbuilt-in\n").expect("a file");
    let kernel = Kernel::of_folder(folder.path()).expect("files");
    assert!(!modules.add(&mut image, &kernel, "built_in").expect("nothing is wrong"));
    assert!(has(&image, "built_in"));
}
