//! Sets of policies, by their positions.

/// One bit for each position.
#[derive(Clone, Debug, Default)]
pub struct Bits(Vec<u64>);

impl Bits {
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn insert(&mut self, position: u32) {
        let (word, bit) = place(position);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    /// Takes out what these bits have, too.
    pub fn remove(&mut self, taken: &Taken) {
        match taken {
            Taken::Few(positions) => {
                for (word, bit) in positions.iter().map(|position| place(*position)) {
                    self.0[word] &= !bit;
                }
            }
            Taken::Many(Self(taken)) => {
                for (word, taken) in self.0.iter_mut().zip(taken) {
                    *word &= !taken;
                }
            }
        }
    }

    /// The positions, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.0).flat_map(|(word, bits)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < u64::BITS).then_some(word * u64::BITS + bit)
            })
        })
    }
}

const fn place(position: u32) -> (usize, u64) {
    let word = position / u64::BITS;
    (word as usize, 1 << (position % u64::BITS))
}

/// What may be taken out of a set at once: the many cost no more than the few.
#[derive(Debug)]
pub enum Taken {
    Few(Vec<u32>),
    Many(Bits),
}

impl Default for Taken {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Taken {
    /// Of `all` positions. A list is the smaller of the two up to a 32nd of them.
    pub fn new(positions: Vec<u32>, all: usize) -> Self {
        if positions.len() <= all / 32 {
            return Self::Few(positions);
        }
        let mut bits = Bits::default();
        for position in positions {
            bits.insert(position);
        }
        Self::Many(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_many_and_the_few_are_taken_out_alike() {
        let all = [0, 1, 63, 64, 65, 127, 128, 200];
        let taken = vec![1, 64, 127];
        for most in [0, 1000] {
            let mut bits = Bits::default();
            for position in all {
                bits.insert(position);
            }
            assert_eq!(bits.iter().collect::<Vec<_>>(), all);
            bits.remove(&Taken::new(taken.clone(), most));
            assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 63, 65, 128, 200]);
        }
    }
}
