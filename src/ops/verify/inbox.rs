//! The inbox: notes that could not be folded, and what does not belong there.

use super::comparison::Verify;
use super::finding::{VerifyClass, VerifyFinding};
use crate::error::Error;
use crate::model::name::REGISTRY_DIR;
use crate::ops::inbox;
use crate::store::{self, StorageError};

impl Verify<'_> {
    /// Checks the inbox, whatever the selection. Notes that wait are not findings.
    pub(super) fn check_inbox(&mut self) {
        // A published copy does not know how far its keeper folded the inbox.
        let catalog = self.copied_at.is_none().then_some(self.catalog);
        let state = match inbox::state(self.base, catalog) {
            Ok(state) => state,
            Err(error) => return self.no_inbox(&error),
        };
        for refused in state.refused {
            let detail = match refused.problems.is_empty() {
                true => {
                    "nothing is wrong with its lines now: the file was changed after it was folded, \
                         or what was wrong with the data is over"
                        .to_owned()
                }
                false => refused.problems.join("; "),
            };
            self.in_inbox(&format!("/refused/{}", refused.name), detail);
        }
        for changed in state.changed {
            self.in_inbox(&format!("/{}", changed.name), changed.problems.join("; "));
        }
        for name in state.strangers {
            let detail = "its name is not that of a file with notes".to_owned();
            self.in_inbox(&format!("/{name}"), detail);
        }
    }

    /// What is in the place of the inbox, or of the refused files in it, cannot be read.
    fn no_inbox(&mut self, error: &Error) {
        let detail = crate::model::causes::with_causes(error);
        let Error::Storage(error) = error else {
            return self.in_inbox("", detail);
        };
        let name = match error.path().ends_with("inbox/refused") {
            true => "/refused",
            false => "",
        };
        if matches!(
            error,
            StorageError::Symlink { .. } | StorageError::NotAFolder { .. }
        ) {
            return self.in_inbox(name, detail);
        }
        self.in_inbox_of(VerifyClass::Unreadable, name, detail);
    }

    fn in_inbox(&mut self, name: &str, detail: String) {
        self.in_inbox_of(VerifyClass::InboxRefused, name, detail);
    }

    fn in_inbox_of(&mut self, class: VerifyClass, name: &str, detail: String) {
        self.find(VerifyFinding {
            class,
            path: store::escape(format!("{REGISTRY_DIR}/inbox{name}").as_ref()),
            artifact: None,
            detail,
            repair: None,
            follows: None,
        });
    }
}
