//! What is wrong with options from a file or the environment.

use std::path::PathBuf;

/// A consumer's options cannot be read. Its text names options, and shows a word that is none of those its option may be, as in
/// `order = "keys"`. It shows no other value, whatever is wrong: no number, no text, and nothing of the client's properties, where
/// passwords are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The file's name does not say what is in it.
    #[error("the file of options {} is neither .toml nor .json: rename it", path.display())]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the file of options {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: std::io::Error,
    },
    /// What is in the file is no options.
    #[error("{}, line {line}, column {column}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A variable of the environment is not an option.
    #[error("the variable {name} is no option of a consumer: there are {known}")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A variable of the environment has a value that its option cannot have.
    #[error("the variable {name} cannot be used: {reason}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with its value.
        reason: String,
    },
}
