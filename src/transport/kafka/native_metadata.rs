//! What was committed with offsets. `rdkafka`'s own accessor panics where it is not UTF-8, and any member of a group may commit.
#![allow(unsafe_code, reason = "reads rdkafka-sys structures; see the SAFETY comment")]

use std::slice;

use rdkafka::topic_partition_list::TopicPartitionList;

/// The metadata of each element, in their order; empty where there is none, or it is not text.
pub(super) fn of(list: &TopicPartitionList) -> Vec<String> {
    let native = list.ptr();
    // SAFETY: the list lives while it is borrowed; it holds `cnt` elements, whose metadata is null or valid for its size.
    unsafe {
        let count = usize::try_from((*native).cnt).unwrap_or(0);
        (0..count)
            .map(|index| {
                let element = &*(*native).elems.add(index);
                if element.metadata.is_null() {
                    return String::new();
                }
                let bytes = slice::from_raw_parts(element.metadata.cast::<u8>(), element.metadata_size);
                String::from_utf8(bytes.to_vec()).unwrap_or_default()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rdkafka_sys as sys;

    use super::*;

    #[test]
    fn metadata_that_is_not_text_is_none_and_harms_nothing() {
        let mut list = TopicPartitionList::new();
        for (partition, metadata) in [(0, &b"\xff\xfe"[..]), (1, b"text"), (2, b"")] {
            list.add_partition("scores", partition);
            // SAFETY: the list has this element and nothing else refers to it; librdkafka allocates the bytes and frees them with it.
            unsafe {
                let element = &mut *(*list.ptr()).elems.add(usize::try_from(partition).unwrap());
                let bytes = sys::rd_kafka_mem_malloc(std::ptr::null_mut(), metadata.len().max(1)).cast::<u8>();
                std::ptr::copy_nonoverlapping(metadata.as_ptr(), bytes, metadata.len());
                element.metadata = bytes.cast();
                element.metadata_size = metadata.len();
            }
        }
        list.add_partition("scores", 3);
        assert_eq!(of(&list), ["", "text", "", ""]);
    }
}
