//! The Merkle tree of RFC 6962 section 2.1 over the leaf hashes in position order: the event at
//! position `p` is leaf `p - 1`.

use jangbu_kernel::Position;
use thiserror::Error;

use crate::hash::sha256;

/// A hash of the tree.
pub type Hash = [u8; 32];

const NODE_PREFIX: u8 = 0x01;

/// The state that is needed to grow the tree: the roots of its perfect subtrees, largest first, one
/// for each bit set in the size. At most 64 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MerkleFrontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// The bytes are not a frontier of the expected size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a Merkle frontier of {size} leaves")]
pub struct InvalidFrontier {
    /// The expected size.
    pub size: Position,
}

impl MerkleFrontier {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The last position among the leaves, which is also their number.
    #[must_use]
    pub const fn size(&self) -> Position {
        Position::new(self.size)
    }

    /// Adds the next leaf's hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut peak = leaf;
        // As in binary addition: each trailing one bit of the old size is a subtree to join.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                peak = node_hash(&left, &peak);
            }
        }
        self.peaks.push(peak);
        self.size += 1;
    }

    /// The Merkle tree hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(smallest) = peaks.next() else { return sha256(b"") };
        peaks.fold(*smallest, |right, left| node_hash(left, &right))
    }

    /// The roots of the subtrees, the largest first, 32 bytes each. The size is stored separately.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.peaks.concat()
    }

    /// The position of the first leaf of the first subtree that differs from the bytes that
    /// [`to_bytes`](Self::to_bytes) wrote for a tree of this size; none if all are the same.
    #[must_use]
    pub fn differs_from(&self, bytes: &[u8]) -> Option<Position> {
        let (others, rest) = bytes.as_chunks::<32>();
        let mut first = 1;
        let sizes = (0..u64::BITS).rev().map(|bit| 1_u64 << bit).filter(|size| self.size & size != 0);
        for (place, (peak, size)) in self.peaks.iter().zip(sizes).enumerate() {
            if others.get(place) != Some(peak) {
                return Some(Position::new(first));
            }
            first += size;
        }
        (!rest.is_empty() || others.len() != self.peaks.len()).then_some(Position::FIRST)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// When the number of hashes in the bytes does not match the size.
    pub fn from_bytes(size: Position, bytes: &[u8]) -> Result<Self, InvalidFrontier> {
        let (peaks, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || peaks.len() != size.get().count_ones() as usize {
            return Err(InvalidFrontier { size });
        }
        Ok(Self { size: size.get(), peaks: peaks.to_vec() })
    }
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [NODE_PREFIX; 65];
    let (_, both) = bytes.split_at_mut(1);
    let (first, second) = both.split_at_mut(32);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    sha256(&bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The inputs and roots that the Certificate Transparency project publishes as test vectors of
    /// RFC 6962.
    #[test]
    fn the_published_vectors_hold() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = MerkleFrontier::new();
        assert_eq!(hex(&frontier.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in leaves.iter().zip(roots) {
            frontier.push(sha256(&[&[0], *leaf].concat()));
            assert_eq!(hex(&frontier.root()), root, "at size {}", frontier.size());
        }
    }

    /// The definition of the RFC: split at the largest power of two below the size.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(b""),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&by_definition(&leaves[..split]), &by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn every_size_agrees_with_the_definition_and_survives_its_bytes() {
        let leaves: Vec<Hash> = (0..200_u16).map(|n| sha256(&n.to_be_bytes())).collect();
        let mut frontier = MerkleFrontier::new();
        for (index, leaf) in leaves.iter().enumerate() {
            frontier.push(*leaf);
            assert_eq!(frontier.root(), by_definition(&leaves[..=index]));
            assert_eq!(MerkleFrontier::from_bytes(frontier.size(), &frontier.to_bytes()).unwrap(), frontier);
        }
    }

    /// 7 leaves form subtrees of 4, 2 and 1.
    #[test]
    fn the_first_subtree_that_differs_is_named() {
        let tree = |altered: Option<u8>| {
            let mut frontier = MerkleFrontier::new();
            (1..=7_u8).for_each(|leaf| frontier.push([if altered == Some(leaf) { 99 } else { leaf }; 32]));
            frontier
        };
        let bytes = tree(None).to_bytes();
        assert_eq!(tree(None).differs_from(&bytes), None);
        for (altered, first) in [(1, 1), (4, 1), (5, 5), (6, 5), (7, 7)] {
            assert_eq!(tree(Some(altered)).differs_from(&bytes), Some(Position::new(first)), "leaf {altered}");
        }
        assert_eq!(tree(None).differs_from(&bytes[..64]), Some(Position::new(7)), "one is missing");
        assert_eq!(
            tree(None).differs_from(&[bytes.as_slice(), &[0]].concat()),
            Some(Position::FIRST),
            "there is more than one tree"
        );
        assert_eq!(MerkleFrontier::new().differs_from(&[]), None);
    }

    #[test]
    fn bytes_of_another_size_are_refused() {
        let mut frontier = MerkleFrontier::new();
        frontier.push([7; 32]);
        assert_eq!(
            MerkleFrontier::from_bytes(Position::new(3), &frontier.to_bytes()),
            Err(InvalidFrontier { size: Position::new(3) })
        );
        assert_eq!(
            MerkleFrontier::from_bytes(Position::FIRST, &[0; 31]),
            Err(InvalidFrontier { size: Position::FIRST })
        );
    }
}
