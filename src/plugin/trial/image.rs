//! What stands in a guest's memory before it runs: texts and answers, laid out as the canonical ABI has them.

/// Where it begins in the guest's memory.
const BASE: usize = 8192;

/// The memory, as far as it is not zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    bytes: Vec<u8>,
}

impl Image {
    /// Puts in bytes, and returns where they are.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = BASE + self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        u32::try_from(at).expect("a small image")
    }

    /// Puts in a text, and returns where it is and how long.
    pub(crate) fn text(&mut self, text: &str) -> [u32; 2] {
        [self.put(text.as_bytes()), text.len() as u32]
    }

    /// Puts in words, and returns where they are.
    pub(crate) fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(&bytes)
    }

    /// Puts in a verdict with edits: pairs of pointer and value.
    pub(crate) fn edits(&mut self, edits: &[(&str, Option<&str>)]) -> u32 {
        let mut list = Vec::new();
        for (pointer, value) in edits {
            list.extend(self.text(pointer));
            match value {
                Some(value) => {
                    list.push(1);
                    list.extend(self.text(value));
                }
                None => list.extend([0, 0, 0]),
            }
        }
        let at = self.words(&list);
        self.verdict(&[2, at, edits.len() as u32], [0, 0])
    }

    /// Puts in a verdict that replaces.
    pub(crate) fn replacement(&mut self, value: &str) -> u32 {
        let [at, len] = self.text(value);
        self.verdict(&[3, at, len], [0, 0])
    }

    /// Puts in a verdict that passes, with so many notes of so many bytes.
    pub(crate) fn notes(&mut self, count: usize, len: usize) -> u32 {
        let key = self.text("k");
        let value = self.text(&"v".repeat(len));
        let note = [key[0], key[1], value[0], value[1]];
        let at = self.words(&note.repeat(count));
        self.verdict(&[0], [at, count as u32])
    }

    /// Puts in what denies: the words of `denial`.
    pub(crate) fn denial(&mut self, data: Option<&str>) -> Vec<u32> {
        self.denial_of("no", "because", data)
    }

    /// Does the same with other texts.
    pub(crate) fn denial_of(&mut self, message: &str, reason: &str, data: Option<&str>) -> Vec<u32> {
        let mut denial = vec![-32001_i32 as u32];
        denial.extend(self.text(message));
        denial.extend(self.text(reason));
        match data {
            Some(data) => {
                denial.push(1);
                denial.extend(self.text(data));
            }
            None => denial.extend([0, 0, 0]),
        }
        denial
    }

    /// Puts in a verdict of a decision and a list of notes.
    pub(crate) fn verdict(&mut self, decision: &[u32], notes: [u32; 2]) -> u32 {
        let mut words = decision.to_vec();
        words.resize(9, 0);
        words.extend(notes);
        self.words(&words)
    }

    /// Returns it as a data segment.
    pub(crate) fn segment(&self) -> String {
        let text: String = self.bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!("(data (i32.const {BASE}) \"{text}\")")
    }
}
