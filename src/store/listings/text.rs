//! The text of a list: entries are cut out and inserted, and no other byte changes. So `NaN`, large
//! numbers, the order of keys and the layout survive.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use jiter::{Jiter, JiterError};

use crate::store::json::without_lone_surrogates;

/// Where a group keeps its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListFormat {
    /// `.zmetadata`: names of metadata files.
    Zarr2,
    /// `consolidated_metadata` in `zarr.json`: paths of arrays and groups.
    Zarr3,
}

/// A member of an object in a text: its key, and where it begins and ends.
struct Member {
    key: String,
    begin: usize,
    end: usize,
    /// Where its value begins.
    value: usize,
}

/// How the entries of a list are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// By the bytes of their keys: zarr-python 2.
    ByBytes,
    /// By depth, then by path without case, of zarr 2 the attributes first: zarr-python 3.
    ByDepth,
}

/// Depth, path without case, path, place of the file.
type SortKey = (usize, String, String, u8);

/// The file names that entries of zarr 2 end in.
pub(super) const FILES_OF_ZARR2: [&str; 3] = [".zarray", ".zattrs", ".zgroup"];

impl ListFormat {
    pub(super) const ALL: [Self; 2] = [Self::Zarr2, Self::Zarr3];

    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Zarr2 => ".zmetadata",
            Self::Zarr3 => "zarr.json",
        }
    }

    /// Whether a text may hold a list, by a quick look.
    pub(super) fn may_list(self, text: &[u8]) -> bool {
        let wanted: &[u8] = match self {
            Self::Zarr2 => b"\"metadata\"",
            Self::Zarr3 => b"\"consolidated_metadata\"",
        };
        text.windows(wanted.len()).any(|part| part == wanted)
    }

    /// The paths of arrays and groups that a text lists, relative to the group; `None` if it cannot
    /// be read or holds no list.
    pub(super) fn names(self, text: &[u8]) -> Option<BTreeSet<String>> {
        let (members, _) = self.members(text)?;
        let names = members
            .iter()
            .filter_map(|member| self.path_of(&member.key))
            // The file on disk has another name, which Python writes as half of a pair.
            .filter(|name| !name.contains(char::REPLACEMENT_CHARACTER));
        Some(names.map(str::to_owned).collect())
    }

    /// The path that an entry is about; `None` if it is about the group itself.
    fn path_of(self, key: &str) -> Option<&str> {
        match self {
            Self::Zarr3 => Some(key).filter(|key| !key.is_empty()),
            Self::Zarr2 => {
                let (path, file) = key.rsplit_once('/')?;
                FILES_OF_ZARR2.contains(&file).then_some(path)
            }
        }
    }

    /// Cuts out the entries of paths and of what is below them; `None` if there are none.
    pub(super) fn without(self, text: &[u8], paths: &BTreeSet<&str>) -> Option<Vec<u8>> {
        let goes = |member: &Member| {
            let above = Path::new(self.path_of(&member.key).unwrap_or_default()).ancestors();
            above
                .filter_map(Path::to_str)
                .any(|above| paths.contains(above))
        };
        let (members, _) = self.members(text)?;
        if !members.iter().any(goes) {
            return None;
        }
        let (first, last) = (members.first()?, members.last()?);
        let mut cut = text[..first.begin].to_vec();
        let mut is_first = true;
        let mut before = first.begin;
        for member in &members {
            if !goes(member) {
                // With what was between it and the one before it.
                let from = if is_first { member.begin } else { before };
                cut.extend(&text[from..member.end]);
                is_first = false;
            }
            before = member.end;
        }
        cut.extend(&text[last.end..]);
        Some(cut)
    }

    /// Inserts entries, each a key and the text of its value, in the order that the list has and
    /// behind the groups that they are in; what is there already stays. `None` if the text holds no
    /// list.
    pub(super) fn with(self, text: &[u8], entries: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
        let (members, begin) = self.members(text)?;
        let known: HashSet<&str> = members.iter().map(|member| member.key.as_str()).collect();
        let is_new = |(key, _): &&(String, Vec<u8>)| !known.contains(key.as_str());
        let mut new: Vec<_> = entries.iter().filter(is_new).collect();
        // The entry of a group may come from two items in it.
        new.sort();
        new.dedup_by(|one, other| one.0 == other.0);
        let order = self.order_of(&members);
        new.sort_by_cached_key(|(key, _)| self.sort_key(order, key));
        let keys: Vec<SortKey> = members
            .iter()
            .map(|member| self.sort_key(order, &member.key))
            .collect();
        let is_sorted = keys.is_sorted();
        // The first key that is greater than another is the first at which the greatest so far is.
        let greatest: Vec<&SortKey> = keys
            .iter()
            .scan(None, |greatest: &mut Option<&SortKey>, key| {
                *greatest = (*greatest).max(Some(key));
                *greatest
            })
            .collect();
        let mut last_of: HashMap<&str, usize> = HashMap::new();
        for (at, member) in members.iter().enumerate() {
            last_of.insert(self.path_of(&member.key).unwrap_or_default(), at);
        }
        let place = |key: &str| {
            let wanted = self.sort_key(order, key);
            let place = match is_sorted {
                true => keys.partition_point(|other| *other < wanted),
                false => greatest.partition_point(|other| **other <= wanted),
            };
            // zarr-python builds its tree in this order: a group that comes after what is in it
            // hides all of it.
            let groups = Path::new(self.path_of(key).unwrap_or_default()).ancestors();
            let groups = groups.skip(1).filter_map(Path::to_str);
            let after = groups.filter_map(|group| Some(last_of.get(group)? + 1));
            after.max().map_or(place, |after| place.max(after))
        };
        // As others have it between key and value, and between two entries.
        let colon = members.first().map_or(&b": "[..], |member| {
            let head = &text[member.begin..member.value];
            let quote = head.iter().rposition(|byte| *byte == b'"');
            &head[quote.unwrap_or_default() + 1..]
        });
        let between = match &members[..] {
            [one, other, ..] => text[one.end..other.begin].to_vec(),
            // On lines of their own, or as close as key and value.
            [one] if one.begin > begin => [b",", &text[begin..one.begin]].concat(),
            [_] if colon == b":" => b",".to_vec(),
            _ => b", ".to_vec(),
        };
        let between = &between[..];
        let mut placed: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for (key, value) in new {
            let entry = [&serde_json::to_vec(key).ok()?[..], colon, value].concat();
            placed.entry(place(key)).or_default().push(entry);
        }
        let (first, last) = match (members.first(), members.last()) {
            (Some(first), Some(last)) => (first.begin, last.end),
            // In an empty list, entries go right behind the brace.
            _ => (begin, begin),
        };
        let mut with = text[..first].to_vec();
        let mut is_first = true;
        for at in 0..=members.len() {
            let entries = placed.get(&at).map_or(&[][..], Vec::as_slice);
            for entry in entries {
                with.extend(if is_first { &b""[..] } else { between });
                with.extend(entry);
                is_first = false;
            }
            let Some(member) = members.get(at) else {
                continue;
            };
            match at.checked_sub(1) {
                // Between old neighbours, the text stays as it was.
                Some(before) if entries.is_empty() => {
                    with.extend(&text[members[before].end..member.begin]);
                }
                _ if is_first => {}
                _ => with.extend(between),
            }
            with.extend(&text[member.begin..member.end]);
            is_first = false;
        }
        with.extend(&text[last..]);
        Some(with)
    }

    /// The order of a list; if none fits, that of zarr-python 3, which depends on it.
    fn order_of(self, members: &[Member]) -> Order {
        let fits = |order| members.is_sorted_by_key(|member| self.sort_key(order, &member.key));
        // If both fit: zarr-python 3 begins a list of zarr 2 with `.zgroup`, then `.zattrs`.
        match self == Self::Zarr2 || !fits(Order::ByDepth) {
            true if fits(Order::ByBytes) => Order::ByBytes,
            _ => Order::ByDepth,
        }
    }

    fn sort_key(self, order: Order, key: &str) -> SortKey {
        match (order, self.path_of(key)) {
            (Order::ByBytes, _) => (0, String::new(), key.to_owned(), 0),
            // What is said of the group itself comes first, as it is.
            (Order::ByDepth, None) => (0, String::new(), String::new(), 0),
            (Order::ByDepth, Some(path)) => (
                1 + path.matches('/').count(),
                path.to_lowercase(),
                path.to_owned(),
                u8::from(!key.ends_with("/.zattrs")),
            ),
        }
    }

    /// The entries of a list, and where their object begins. `None` if the text cannot be read as
    /// the field writes it, or holds no list.
    fn members(self, text: &[u8]) -> Option<(Vec<Member>, usize)> {
        // Places in the text stay the same.
        let text = &without_lone_surrogates(text)[..];
        let top = members_at(text, start_of(text)).ok()?;
        let list = match self {
            Self::Zarr2 => top,
            Self::Zarr3 => {
                let at = last(&top, "consolidated_metadata")?;
                members_at(text, at).ok()?
            }
        };
        let at = last(&list, "metadata")?;
        let inner = members_at(text, at).ok()?;
        Some((inner, at + 1))
    }
}

/// Where the text begins, after a byte order mark.
fn start_of(text: &[u8]) -> usize {
    match text.starts_with(b"\xef\xbb\xbf") {
        true => 3,
        false => 0,
    }
}

/// Where the value of a key begins. Of a repeated key the last counts, as in Python.
fn last(members: &[Member], key: &str) -> Option<usize> {
    let member = members.iter().rev().find(|member| member.key == key)?;
    Some(member.value)
}

/// The members of the object that begins at a place.
fn members_at(text: &[u8], at: usize) -> Result<Vec<Member>, JiterError> {
    let mut json = Jiter::new(&text[at..]).with_allow_inf_nan();
    let mut members = Vec::new();
    let mut key = json.next_object()?.map(str::to_owned);
    // Between the members are only blanks and a comma, and before the first the brace.
    let mut from = at;
    while let Some(name) = key {
        let quote = text[from..].iter().position(|byte| *byte == b'"');
        let begin = from + quote.unwrap_or_default();
        let blanks = text[at + json.current_index()..].iter();
        let blanks = blanks.take_while(|byte| byte.is_ascii_whitespace()).count();
        let value = at + json.current_index() + blanks;
        json.next_skip()?;
        from = at + json.current_index();
        members.push(Member {
            key: name,
            begin,
            end: from,
            value,
        });
        key = json.next_key()?.map(str::to_owned);
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZARR2: &str = "{\n  \"metadata\": {\n    \".zgroup\": {\"zarr_format\": 2},\n    \
        \"1/v/.zarray\": {\"fill_value\": NaN},\n    \"1/v/.zattrs\": {\"n\": 123456789012345678901},\n    \
        \"2/v/.zarray\": {\"fill_value\": -Infinity, \"b\": 1, \"a\": 1.50}\n  },\n  \
        \"zarr_consolidated_format\": 1\n}";
    const ZARR3: &str = r#"{"attributes":{"voi":NaN},"zarr_format":3,"consolidated_metadata":{"kind":"inline","metadata":{"1":{"node_type":"group"},"1/v":{"fill_value":NaN},"10/v":{}},"must_understand":false},"node_type":"group"}"#;

    #[test]
    fn entries_are_cut_and_inserted_and_nothing_else_changes() {
        let names: Vec<String> = ListFormat::Zarr2
            .names(ZARR2.as_bytes())
            .unwrap()
            .into_iter()
            .collect();
        assert_eq!(names, ["1/v", "2/v"]);
        let cut = ListFormat::Zarr2
            .without(ZARR2.as_bytes(), &BTreeSet::from(["1/v"]))
            .unwrap();
        let expected = ZARR2
            .replace("\"1/v/.zarray\": {\"fill_value\": NaN},\n    ", "")
            .replace("\"1/v/.zattrs\": {\"n\": 123456789012345678901},\n    ", "");
        assert_eq!(String::from_utf8(cut.clone()).unwrap(), expected);
        let entries = [
            ("1/v/.zarray".to_owned(), b"{\"fill_value\": NaN}".to_vec()),
            (
                "1/v/.zattrs".to_owned(),
                b"{\"n\": 123456789012345678901}".to_vec(),
            ),
        ];
        let back = ListFormat::Zarr2.with(&cut, &entries).unwrap();
        assert_eq!(String::from_utf8(back).unwrap(), ZARR2);

        let cut = ListFormat::Zarr3
            .without(ZARR3.as_bytes(), &BTreeSet::from(["1/v"]))
            .unwrap();
        assert_eq!(
            String::from_utf8(cut.clone()).unwrap(),
            ZARR3.replace(r#""1/v":{"fill_value":NaN},"#, "")
        );
        let entries = [("1/v".to_owned(), br#"{"fill_value":NaN}"#.to_vec())];
        assert_eq!(
            ListFormat::Zarr3.with(&cut, &entries).unwrap(),
            ZARR3.as_bytes()
        );
        // A path is no prefix of a name.
        assert!(
            ListFormat::Zarr3
                .without(ZARR3.as_bytes(), &BTreeSet::from(["1/"]))
                .is_none()
        );
        let all = ListFormat::Zarr3
            .without(ZARR3.as_bytes(), &BTreeSet::from(["1"]))
            .unwrap();
        assert_eq!(
            ListFormat::Zarr3
                .names(&all)
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>(),
            ["10/v"]
        );
    }

    #[test]
    fn the_last_entry_goes_and_comes() {
        for text in [
            r#"{"metadata":{"a/.zarray":{}}}"#,
            r#"{ "metadata" : { "a/.zarray" : {} } }"#,
        ] {
            let cut = ListFormat::Zarr2
                .without(text.as_bytes(), &BTreeSet::from(["a"]))
                .unwrap();
            assert_eq!(ListFormat::Zarr2.names(&cut).unwrap(), BTreeSet::new());
            let entries = [("a/.zarray".to_owned(), b"{}".to_vec())];
            let back = ListFormat::Zarr2.with(&cut, &entries).unwrap();
            assert_eq!(ListFormat::Zarr2.names(&back).unwrap().len(), 1);
        }
    }

    /// Cuts paths out of a list and puts their entries back.
    fn there_and_back(format: ListFormat, keys: &[&str], gone: &[&str]) -> Vec<String> {
        let entries: Vec<String> = keys.iter().map(|key| format!("\"{key}\":{{}}")).collect();
        let text = match format {
            ListFormat::Zarr2 => format!("{{\"metadata\":{{{}}}}}", entries.join(",")),
            ListFormat::Zarr3 => format!(
                "{{\"consolidated_metadata\":{{\"metadata\":{{{}}}}}}}",
                entries.join(",")
            ),
        };
        let cut = format
            .without(text.as_bytes(), &gone.iter().copied().collect())
            .unwrap();
        let left = format.members(&cut).unwrap().0;
        let is_gone = |key: &&&str| left.iter().all(|member| member.key != **key);
        let entries: Vec<(String, Vec<u8>)> = keys
            .iter()
            .filter(is_gone)
            .map(|key| ((*key).to_owned(), b"{}".to_vec()))
            .collect();
        let back = format.with(&cut, &entries).unwrap();
        let (members, _) = format.members(&back).unwrap();
        members.into_iter().map(|member| member.key).collect()
    }

    #[test]
    fn entries_come_back_in_the_order_of_the_library_that_wrote_them() {
        // zarr-python 3, both formats.
        let three = [
            "1",
            "2",
            "1/B",
            "1/v",
            "2/v",
            "1/v/output",
            "1/v/prediction",
            "2/v/output",
            "2/v/prediction",
            "1/v/output/t1",
            "2/v/output/t1",
        ];
        let two = [
            ".zgroup",
            ".zattrs",
            "1/.zattrs",
            "1/.zgroup",
            "2/.zattrs",
            "2/.zgroup",
            "1/a/.zattrs",
            "1/a/.zgroup",
            "1/B/.zattrs",
            "1/B/.zgroup",
            "2/a/.zgroup",
            "1/a/p/.zattrs",
            "1/a/p/.zarray",
            "1/B/p/.zattrs",
            "1/B/p/.zarray",
            "2/a/p/.zarray",
        ];
        // zarr-python 2.
        let sorted = [
            ".zgroup",
            "1/.zgroup",
            "1/B/.zgroup",
            "1/B/p/.zarray",
            "1/a-b/.zgroup",
            "1/a-b/p/.zarray",
            "1/a/.zgroup",
            "1/a/p/.zarray",
            "2/.zgroup",
            "2/B/.zgroup",
        ];
        for gone in [
            &["1"][..],
            &["2"],
            &["1/v/output/t1", "1/v/prediction"],
            &["1/v/output/t1"],
            &["2/v", "1/B"],
            &["1", "2"],
        ] {
            assert_eq!(
                there_and_back(ListFormat::Zarr3, &three, gone),
                three,
                "{gone:?}"
            );
        }
        for gone in [&["1"][..], &["1/a/p"], &["1/B/p", "1/a"], &["2/a/p"]] {
            assert_eq!(
                there_and_back(ListFormat::Zarr2, &two, gone),
                two,
                "{gone:?}"
            );
        }
        for gone in [&["1"][..], &["1/a/p"], &["1/B/p", "1/a-b"], &["2"]] {
            assert_eq!(
                there_and_back(ListFormat::Zarr2, &sorted, gone),
                sorted,
                "{gone:?}"
            );
        }
    }

    #[test]
    fn an_entry_never_comes_before_a_group_that_it_is_in() {
        let keys = ["x", "b/v", "1/v/p", "b", "1/v", "a", "1"];
        // Its groups are last: it follows them.
        let cut = ["x", "b", "1/v", "a", "1", "1/v/p"];
        assert_eq!(
            there_and_back(
                ListFormat::Zarr3,
                &["1/v/p", "x", "b", "1/v", "a", "1"],
                &["1/v/p"]
            ),
            cut
        );
        let back = there_and_back(ListFormat::Zarr3, &keys, &["1/v/p", "b/v"]);
        let place = |key: &str| back.iter().position(|other| other == key).unwrap();
        assert!(
            place("1/v") < place("1/v/p") && place("1") < place("1/v/p"),
            "{back:?}"
        );
        assert!(place("b") < place("b/v"), "{back:?}");
    }

    #[test]
    fn what_cannot_be_read_is_no_list() {
        for text in [
            "",
            "{",
            "[]",
            "{\"metadata\": []}",
            "{\"metadata\": {\"a\": }}",
            "{\"metadata\": 1",
        ] {
            assert!(ListFormat::Zarr2.names(text.as_bytes()).is_none(), "{text}");
            assert!(ListFormat::Zarr3.names(text.as_bytes()).is_none(), "{text}");
        }
    }
}
