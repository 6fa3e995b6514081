//! Parses /etc/passwd and /etc/group (passwd(5), group(5)), without the C library.
//!
//! A static binary cannot load glibc's name services, and images only have these two files. Invalid lines are skipped, so
//! that one of them does not hide another user. Pure. Next: `identity.rs`.

/// One user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User<'a> {
    /// Login name.
    pub(super) name: &'a [u8],
    /// Uid.
    pub(super) id: u32,
    /// Primary group.
    pub(super) group: u32,
    /// Home directory; may be empty.
    pub(super) home: &'a [u8],
    /// Login shell; may be empty.
    pub(super) shell: &'a [u8],
}

/// One group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group<'a> {
    /// Its name.
    pub(super) name: &'a [u8],
    /// Gid.
    pub(super) id: u32,
    members: &'a [u8],
}

impl Group<'_> {
    /// Whether the user of this name is listed as a member.
    pub(super) fn has_member(&self, user: &[u8]) -> bool {
        self.members.split(|byte| *byte == b',').any(|member| member.trim_ascii() == user)
    }
}

/// The entries of /etc/passwd, in order.
pub(super) fn users(text: &[u8]) -> impl Iterator<Item = User<'_>> {
    lines(text).filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (id, group) = (number(fields.next()?)?, number(fields.next()?)?);
        let _comment = fields.next();
        let (home, shell) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        Some(User { name, id, group, home, shell })
    })
}

/// The entries of /etc/group, in order.
pub(super) fn groups(text: &[u8]) -> impl Iterator<Item = Group<'_>> {
    lines(text).filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let id = number(fields.next()?)?;
        Some(Group { name, id, members: fields.next().unwrap_or_default() })
    })
}

/// Lines that may be entries. Those with `+` and `-` include entries of NIS (nsswitch.conf(5), compat).
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let candidates = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    candidates.filter(|line| !matches!(line.first(), None | Some(b'+' | b'-' | b'#' | b':')))
}

/// A uid or gid. The highest number is not one: to the kernel it means "unchanged".
fn number(field: &[u8]) -> Option<u32> {
    if !field.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(field).ok()?.parse().ok().filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_user_has_a_uid_a_group_a_home_and_a_shell() {
        let text = b"root:x:0:0:root:/root:/bin/bash\napp:x:1000:1001:The App,,,:/home/app:/bin/sh\n";
        let app = users(text).nth(1).unwrap();
        let expected = User { name: b"app", id: 1000, group: 1001, home: b"/home/app", shell: b"/bin/sh" };
        assert_eq!(app, expected);
    }

    #[test]
    fn the_members_of_a_group_are_compared_by_whole_names() {
        let text = b"wheel:x:10:root, app ,web\nempty:x:11:\nshort:x:12\n";
        let wheel = groups(text).next().unwrap();
        assert!(wheel.has_member(b"root") && wheel.has_member(b"app") && wheel.has_member(b"web"));
        assert!(!wheel.has_member(b"we") && !wheel.has_member(b""));
        assert!(groups(text).skip(1).all(|group| !group.has_member(b"root")));
        assert_eq!(groups(text).count(), 3);
    }

    #[test]
    fn lines_that_are_not_entries_are_skipped() {
        let text: &[u8] = b"\n#comment:x:1:1\n+nis:x:2:2::/:\n-nis:x:3:3::/:\n+\n:x:4:4::/:\nshort:x:5\n\
            minus:x:-1:6::/:\nplus:x:+7:7::/:\nhuge:x:4294967296:8::/:\nnobody:x:4294967295:9::/:\n\
            spaces:x: 10:10::/:\nempty:x::11::/:\n\xff\xfe:x:12:12::/\xff:\nlast:x:13:13";
        let found: Vec<u32> = users(text).map(|user| user.id).collect();
        assert_eq!(found, [12, 13]);
        let names: Vec<&[u8]> = users(text).map(|user| user.name).collect();
        assert_eq!(names, [b"\xff\xfe".as_slice(), b"last"]);
    }

    #[test]
    fn an_overlong_line_hides_no_entry() {
        let mut text = b"long:x:1:1:".to_vec();
        text.resize(1 << 20, b'a');
        text.extend_from_slice(b":/home/long:/bin/sh\r\napp:x:2:2::/:");
        let homes: Vec<&[u8]> = users(&text).map(|user| user.home).collect();
        assert_eq!(homes, [b"/home/long".as_slice(), b"/"]);
    }

    proptest! {
        #[test]
        fn an_entry_is_found_after_any_text(noise: Vec<u8>) {
            let mut text = noise;
            text.extend_from_slice(b"\napp:x:77:78::/app:/bin/sh\n");
            let app = users(&text).last().unwrap();
            prop_assert_eq!((app.name, app.id, app.group), (b"app".as_slice(), 77, 78));
            prop_assert_eq!(groups(&text).last().unwrap().id, 77);
        }
    }
}
