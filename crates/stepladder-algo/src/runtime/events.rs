//! TensorBoard event files: length-prefixed records with masked CRC-32C checksums around a small protobuf message.
//!
//! Published writers depend on an image library and an old protobuf version, which scalars do not need.
//! Format: tensorflow/core/lib/io/record_writer and tensorflow/core/util/event.proto.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use stepladder_env::clock::unix_seconds;

/// Writer of scalars to one event file.
#[derive(Debug)]
pub struct EventWriter {
    file: fs_err::File,
}

impl EventWriter {
    /// Creates `directory`, if absent, and a new event file in it.
    ///
    /// # Errors
    /// From the file system.
    pub fn create(directory: &Path) -> io::Result<Self> {
        fs_err::create_dir_all(directory)?;
        let seconds = unix_seconds();
        let path: PathBuf = (0..)
            .map(|number| {
                directory.join(format!("events.out.tfevents.{:010}.{number}.stepladder", seconds as u64))
            })
            .find(|path| !path.exists())
            .expect("some number is free");
        let mut writer = Self { file: fs_err::File::create(path)? };
        let mut event = double_field(1, seconds);
        event.extend(bytes_field(3, b"brain.Event:2"));
        writer.record(&event)?;
        Ok(writer)
    }

    /// Appends one scalar of one step.
    ///
    /// # Errors
    /// From the file system.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f32) -> io::Result<()> {
        let mut entry = bytes_field(1, tag.as_bytes());
        entry.push(2 << 3 | 5);
        entry.extend(value.to_le_bytes());
        let mut event = double_field(1, unix_seconds());
        event.push(2 << 3);
        event.extend(varint(step));
        event.extend(bytes_field(5, &bytes_field(1, &entry)));
        self.record(&event)
    }

    fn record(&mut self, data: &[u8]) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(data.len() + 16);
        record.extend(length);
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked_crc(data).to_le_bytes());
        self.file.write_all(&record)
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn double_field(field: u8, value: f64) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 1];
    bytes.extend(value.to_le_bytes());
    bytes
}

fn bytes_field(field: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    bytes.extend(varint(data.len() as u64));
    bytes.extend(data);
    bytes
}

/// Computes CRC-32C (Castagnoli) bit by bit, which is fast enough for small event files.
fn crc(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

fn masked_crc(data: &[u8]) -> u32 {
    crc(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // Check value of CRC-32C, RFC 3720 appendix B.4.
        assert_eq!(crc(b"123456789"), 0xe306_9283);
        assert_eq!(crc(&[0u8; 32]), 0x8a91_36aa);
    }

    #[test]
    fn records_can_be_walked() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path()).unwrap();
        writer.scalar("train/loss", 300, 0.5).unwrap();
        let path = fs_err::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let bytes = fs_err::read(path).unwrap();
        let mut at = 0;
        let mut records = Vec::new();
        while at < bytes.len() {
            let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
            assert_eq!(masked_crc(&bytes[at..at + 8]).to_le_bytes(), bytes[at + 8..at + 12]);
            let data = &bytes[at + 12..at + 12 + length];
            assert_eq!(masked_crc(data).to_le_bytes(), bytes[at + 12 + length..at + 16 + length]);
            records.push(data.to_vec());
            at += 16 + length;
        }
        assert_eq!(records.len(), 2);
        let tail = &records[1][records[1].len() - 4..];
        assert_eq!(f32::from_le_bytes(tail.try_into().unwrap()), 0.5);
        assert!(records[1].windows(10).any(|window| window == b"train/loss"));
    }
}
