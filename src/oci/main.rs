//! The program hilum-oci.

fn main() {
    std::process::exit(hilum_oci::main());
}
