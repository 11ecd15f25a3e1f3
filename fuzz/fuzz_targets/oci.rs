//! Archives of container images: the board's parser accepts what inspect prints.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = std::env::temp_dir().join(format!("hilum-fuzz-oci-{}", std::process::id()));
    std::fs::write(&file, data).expect("a scratch file");
    if let Ok(container) = hilum_initramfs::oci::read(&file, hilum::Architecture::X86_64, None) {
        let lines = container.lines();
        let text = format!("hilum 1\n[workload a]\nroot /r\n{lines}\n");
        let has_exec = lines.lines().any(|line| line.starts_with("exec "));
        let text = if has_exec { text } else { format!("{text}exec /x\n") };
        let mut config = Box::new(hilum::config::Config::EMPTY);
        hilum::config::parse(text.as_bytes(), &mut config).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
    let _ = std::fs::remove_file(&file);
});
