use super::*;

#[test]
fn release_is_read_from_both_kinds_of_image() {
    let mut x86 = vec![0; 0x400];
    x86[0x202..0x206].copy_from_slice(b"HdrS");
    x86[0x20e..0x210].copy_from_slice(&[0x80, 0x01]);
    x86[0x380..0x38d].copy_from_slice(b"6.1.0-50 (a@b");
    assert_eq!(release(&x86).as_deref(), Some("6.1.0-50"));
    assert_eq!(release(b"...Linux version %s Linux version 6.12.1-a #1").as_deref(), Some("6.12.1-a"));
    assert_eq!(release(b"nothing"), None);
}

#[test]
fn module_of_another_kernel_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let modules = folder.path().join("modules/kernel/drivers");
    std::fs::create_dir_all(&modules).expect("a folder");
    std::fs::write(folder.path().join("vmlinuz"), "Linux version 6.1.0-50 (x)").expect("a file");
    std::fs::write(modules.join("good-one.ko"), crate::modules::tests::module(&["vermagic=6.1.0-50 SMP"]))
        .expect("a file");
    std::fs::write(modules.join("old.ko"), crate::modules::tests::module(&["vermagic=5.10.0 SMP"])).expect("a file");
    std::fs::write(folder.path().join("modules/modules.builtin"), "kernel/fs/in-side.ko\n").expect("a file");
    let kernel = Kernel::of_files(&folder.path().join("vmlinuz"), Some(&folder.path().join("modules"))).expect("good");
    assert!(kernel.module("good_one").expect("good").is_some() && kernel.module("none").expect("none").is_none());
    assert!(kernel.is_built_in("in_side") && !kernel.is_built_in("old"));
    let error = kernel.module("old").expect_err("refused").to_string();
    assert_eq!(error, "module old: built for 5.10.0, the kernel is 6.1.0-50");
}

#[test]
fn kernel_that_was_built_is_taken_uncompressed_where_that_is_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("vmlinuz"), "packed").expect("a file");
    std::fs::write(folder.path().join("modules.builtin"), "kernel/drivers/net/virtio_net.ko\n").expect("a file");
    let read = |is_uncompressed| Kernel::of_build(folder.path(), is_uncompressed).expect("a kernel");
    assert_eq!(read(true).image, b"packed", "not every architecture has the other file");
    std::fs::write(folder.path().join("vmlinux"), "plain").expect("a file");
    assert_eq!(read(true).image, b"plain");
    assert_eq!(read(false).image, b"packed");
    assert!(read(false).is_built_in("virtio_net") && !read(false).is_built_in("virtio_blk"));
}
