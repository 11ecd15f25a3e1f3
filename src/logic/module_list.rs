//! The two files of an image about kernel modules: what each module needs, and what its board loads.

/// Returns the modules that `name` needs, in the order in which they are loaded, by the text of /lib/modules/needs: a line
/// each, `NAME: OTHER...`. `None` if the line says that it is built into the kernel.
pub fn needs_of<'a>(needs: &'a str, name: &str) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
    let line = needs.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
    (line.trim() != "(built in)").then(|| line.split_ascii_whitespace())
}

/// Returns the modules of /lib/modules/load with their parameters: a line each, `NAME [PARAMETERS]`.
pub fn to_load(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.lines().map(|line| line.split_once(' ').unwrap_or((line, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: &str = "ext4: crc16 mbcache jbd2\nloop: (built in)\next: other\nveth:\n";

    #[test]
    fn needs_are_those_of_the_very_module() {
        let needs = |name| needs_of(NEEDS, name).map(|others| others.collect::<Vec<_>>());
        assert_eq!(needs("ext4"), Some(vec!["crc16", "mbcache", "jbd2"]));
        assert_eq!(needs("ext"), Some(vec!["other"]));
        assert_eq!(needs("veth"), Some(vec![]));
        assert_eq!(needs("unknown"), Some(vec![]), "its file may be there all the same");
    }

    #[test]
    fn built_in_module_is_not_loaded() {
        assert!(needs_of(NEEDS, "loop").is_none());
    }

    #[test]
    fn parameters_are_the_rest_of_the_line() {
        let all: Vec<_> = to_load("virtio_net\nbonding mode=1 miimon=100\n").collect();
        assert_eq!(all, [("virtio_net", ""), ("bonding", "mode=1 miimon=100")]);
    }
}
