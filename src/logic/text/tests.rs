use super::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn text_is_displayed_as_it_was_written() {
    const WRITTEN: &str =
        "a path below /dev, usb=VENDOR:PRODUCT[:SERIAL] with four hexadecimal digits each, or path= and a path";
    let text =
        text!("a path below /dev, usb=VENDOR:PRODUCT[:SERIAL] with four hexadecimal digits each, or path= and a path");
    assert_eq!(text.to_string(), WRITTEN);
    assert!(text.0.len() * 4 < WRITTEN.len() * 3, "{} bytes", text.0.len());
    assert_eq!(text!("").to_string(), "");
}

#[test]
fn text_ends_where_its_buffer_does() {
    assert_eq!(text!("a network without host bits").unpack(&mut [0; 9]), "a network");
}

#[test]
fn word_is_the_line_of_the_arm_that_matches() {
    let word = |number: u8| {
        words!(match number,
            1 | 7 => "mount",
            2 => "mount overlay",
            _ => "open",
        )
        .to_string()
    };
    assert_eq!([1, 2, 3, 7].map(word), ["mount", "mount overlay", "open", "mount"]);
}

#[test]
fn each_pair_is_made_of_characters_and_earlier_pairs() {
    let mut longest = vec![1; 128];
    for (index, pair) in pairs::PAIRS.iter().enumerate() {
        assert!(pair.iter().all(|&part| usize::from(part) < 128 + index), "pair {index}");
        longest.push(pair.iter().map(|&part| longest[usize::from(part)] + 1).max().expect("two parts"));
    }
    assert!(longest.iter().all(|&levels| levels <= 8), "the stack of `unpack`");
}

/// Collects the texts in `text!("...")` below a folder, without those of tests.
fn collect(folder: &Path, texts: &mut Vec<Vec<u8>>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    entries.sort();
    for path in entries {
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, texts);
        } else if path.extension().is_some_and(|name| name == "rs") {
            let source = std::fs::read_to_string(&path).expect("a source");
            let literals = source.split("text!(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
            texts.extend(literals.map(literal));
            texts.extend(source.split("words!(match").skip(1).map(listed));
        }
    }
}

/// Returns the list of the words of a `words!`, from behind the beginning of its `match`.
fn listed(source: &str) -> Vec<u8> {
    let arms = source.split(");\n").next().unwrap_or_default().split("=> \"").skip(1);
    arms.flat_map(|arm| [literal(arm), vec![b'\n']].concat()).collect()
}

/// Returns what a literal stands for, from behind its opening quote to the closing one.
fn literal(rest: &str) -> Vec<u8> {
    let (mut text, mut characters) = (Vec::new(), rest.bytes().peekable());
    while let Some(character) = characters.next().filter(|&character| character != b'"') {
        text.push(match character {
            b'\\' => match characters.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'\n') => {
                    while characters.next_if(u8::is_ascii_whitespace).is_some() {}
                    continue;
                }
                other => other.expect("an escaped character"),
            },
            _ => character,
        });
    }
    text
}

/// Replaces the most frequent pairs. Returns the table, and how many bytes the texts take with it.
fn pairs_of(texts: &mut [Vec<u8>]) -> (Vec<[u8; 2]>, usize) {
    let mut table = Vec::new();
    while table.len() < 128 {
        let mut counts = BTreeMap::new();
        texts
            .iter()
            .flat_map(|text| text.windows(2))
            .for_each(|pair| *counts.entry([pair[0], pair[1]]).or_insert(0) += 1);
        let Some((&pair, _)) = counts.iter().max_by_key(|(pair, count)| (**count, std::cmp::Reverse(**pair))) else {
            break;
        };
        texts.iter_mut().for_each(|text| replace(text, pair, 128 + table.len() as u8));
        table.push(pair);
    }
    (table, texts.iter().map(Vec::len).sum())
}

fn replace(text: &mut Vec<u8>, pair: [u8; 2], byte: u8) {
    let (mut from, mut to) = (0, 0);
    while from < text.len() {
        let is_found = text[from..].starts_with(&pair);
        text[to] = if is_found { byte } else { text[from] };
        from += 1 + usize::from(is_found);
        to += 1;
    }
    text.truncate(to);
}

/// With `HILUM_UPDATE` set it writes the table anew.
#[test]
fn table_is_made_of_the_texts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    collect(&root.join("src/logic"), &mut texts);
    collect(&root.join("src/runtime"), &mut texts);
    for text in &texts {
        let lines = text.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let (bytes, limit) = if lines == 1 { (text.len(), LONGEST) } else { (text.len(), LONGEST_TABLE) };
        let longest = text.split(|&byte| byte == b'\n').map(<[u8]>::len).max();
        assert!(bytes <= limit && longest <= Some(LINE_BYTES), "it would be cut: {}", String::from_utf8_lossy(text));
    }
    let mut packed = texts.clone();
    for (index, &pair) in pairs::PAIRS.iter().enumerate() {
        packed.iter_mut().for_each(|text| replace(text, pair, 128 + index as u8));
    }
    let present: usize = packed.iter().map(Vec::len).sum();
    let (table, best) = pairs_of(&mut texts);
    if std::env::var_os("HILUM_UPDATE").is_some() {
        let mut source = String::from(
            "//! The table of pairs. `HILUM_UPDATE=1 cargo test -p hilum table_is_made_of_the_texts` writes it.\n\n",
        );
        source += "/// The pairs of bytes that occur most often in the texts, each after those that it is made of.\n#[rustfmt::skip]\n";
        writeln!(source, "pub(super) const PAIRS: [[u8; 2]; {}] = [", table.len()).expect("memory");
        for line in table.chunks(8) {
            let words: Vec<String> = line.iter().map(|pair| format!("{pair:?}")).collect();
            writeln!(source, "    {},", words.join(", ")).expect("memory");
        }
        std::fs::write(root.join("src/logic/text/pairs.rs"), source + "];\n").expect("the table is written");
    } else {
        assert!(
            present * 100 <= best * 103,
            "{present} bytes, and {best} with a new table; run this with HILUM_UPDATE=1"
        );
    }
}
