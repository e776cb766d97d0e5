//! The inbox: notes that could not be folded, and what does not belong there.

use super::comparison::Verify;
use super::finding::{VerifyClass, VerifyFinding};
use crate::model::name::REGISTRY_DIR;
use crate::ops::inbox;
use crate::store;

impl Verify<'_> {
    /// Checks the inbox, whatever the selection. Notes that wait are not findings.
    pub(super) fn check_inbox(&mut self) {
        // A published copy does not know how far its keeper folded the inbox.
        let catalog = self.copied_at.is_none().then_some(self.catalog);
        let state = match inbox::state(self.base, catalog) {
            Ok(state) => state,
            Err(error) => return self.in_inbox("", crate::model::causes::with_causes(&error)),
        };
        for refused in state.refused {
            let detail = match refused.problems.is_empty() {
                true => {
                    "each line is a note; the catalog refused one, its data is another now, or the \
                         file was changed after it was folded"
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

    fn in_inbox(&mut self, name: &str, detail: String) {
        self.find(VerifyFinding {
            class: VerifyClass::InboxRefused,
            path: store::escape(format!("{REGISTRY_DIR}/inbox{name}").as_ref()),
            artifact: None,
            detail,
            repair: None,
            follows: None,
        });
    }
}
