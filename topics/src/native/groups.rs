//! A consumer group as its coordinator describes it, with the texts that clients give about themselves read as they are.

use std::{ffi::CString, ptr, slice, time::Duration};

use rdkafka::{
    bindings::{rd_kafka_group_info, rd_kafka_group_list_destroy, rd_kafka_group_member_info, rd_kafka_list_groups},
    client::{Client, ClientContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::string;

pub(crate) struct Group {
    pub state: String,
    pub members: Vec<Member>,
}

pub(crate) struct Member {
    pub client_id: String,
    pub host: String,
}

/// `None` if there is no such group.
pub(crate) fn describe<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    timeout: Duration,
) -> Result<Option<Group>, KafkaError> {
    let name = CString::new(group)?;
    let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let mut list = ptr::null();
    // SAFETY: client and name are valid for the call, which writes to the pointer.
    let error = unsafe { rd_kafka_list_groups(client.native_ptr(), name.as_ptr(), &raw mut list, milliseconds) };
    let code = RDKafkaErrorCode::from(error);
    if code != RDKafkaErrorCode::NoError {
        return Err(KafkaError::GroupListFetch(code));
    }
    // SAFETY: without an error the list is ours; it holds `group_cnt` groups, is copied, and is destroyed once.
    unsafe {
        let groups = all((*list).groups, (*list).group_cnt);
        let found = groups
            .iter()
            .find(|found| string(found.group) == group)
            .map(|group| copy(group));
        rd_kafka_group_list_destroy(list);
        Ok(found)
    }
}

/// # Safety
/// `group` must be of a list that librdkafka made.
unsafe fn copy(group: &rd_kafka_group_info) -> Group {
    let member = |member: &rd_kafka_group_member_info| {
        // SAFETY: the texts of such a list are NUL-terminated or null.
        let (client_id, host) = unsafe { (string(member.client_id), string(member.client_host)) };
        Member { client_id, host }
    };
    // SAFETY: as above; there are `member_cnt` members.
    unsafe {
        Group {
            state: string(group.state),
            members: all(group.members, group.member_cnt).iter().map(member).collect(),
        }
    }
}

/// # Safety
/// `first` must be null or the first of `count` that live for `'a`.
unsafe fn all<'a, T>(first: *const T, count: i32) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: as the caller says.
        Ok(count) if !first.is_null() => unsafe { slice::from_raw_parts(first, count) },
        _ => &[],
    }
}
