//! The state on disk: whole, whenever somebody looks, and as the last change left it.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::coordinator::State;

pub struct Kept {
    file: PathBuf,
}

impl Kept {
    pub fn of(folder: &Path) -> Self {
        Self {
            file: folder.join("state.json"),
        }
    }

    /// What the last change left.
    pub fn read(&self) -> anyhow::Result<State> {
        match fs::read(&self.file) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("failed to read {}", self.file.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::Idle),
            Err(error) => {
                Err(error).with_context(|| format!("failed to read {}", self.file.display()))
            }
        }
    }

    pub fn write(&self, state: &State) -> anyhow::Result<()> {
        let failed = || format!("failed to write {}", self.file.display());
        let new = self.file.with_extension("new");
        let text = serde_json::to_vec(state)?;
        let mut file = File::create(&new).with_context(failed)?;
        file.write_all(&text).with_context(failed)?;
        file.sync_all().with_context(failed)?;
        fs::rename(&new, &self.file).with_context(failed)
    }
}
