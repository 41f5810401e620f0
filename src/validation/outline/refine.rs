//! The walk over a value: strips and cleans before it is judged, puts defaults in after.

use std::borrow::Cow;

use serde_json::Value;

use super::super::bounds::Bounds;
use super::super::cleaners::Clean;
use super::super::parser::{Builder, ParseError, weight};
use super::super::rejection::{JsonRejection, Reason};
use super::super::value::copied;
use super::{Outline, Spot};

/// What becomes of a member or element that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays what it was.
    Kept,
    /// It was replaced.
    Changed,
    /// It goes.
    Dropped,
}

/// What is done with one member, given its name.
pub type EachMember<'e, T> = &'e mut dyn FnMut(
    &mut T,
    &str,
    &mut <T as Builder>::Value,
) -> Result<Fate, ParseError<<T as Builder>::Fault>>;

/// What is done with one element, given its index.
pub type EachElement<'e, T> = &'e mut dyn FnMut(
    &mut T,
    usize,
    &mut <T as Builder>::Value,
) -> Result<Fate, ParseError<<T as Builder>::Fault>>;

/// Values that can be walked and changed.
pub trait Tree: Builder + Sized {
    /// Shows each member of an object; nothing for another value.
    ///
    /// # Errors
    /// What `each` says, or the tree's own fault.
    fn members(
        &mut self,
        value: &mut Self::Value,
        each: EachMember<'_, Self>,
    ) -> Result<(), ParseError<Self::Fault>>;

    /// Shows each element of an array; nothing for another value.
    ///
    /// # Errors
    /// What `each` says, or the tree's own fault.
    fn elements(
        &mut self,
        value: &mut Self::Value,
        each: EachElement<'_, Self>,
    ) -> Result<(), ParseError<Self::Fault>>;

    /// The text that a value is.
    ///
    /// # Errors
    /// For a text that is no Unicode.
    fn text<'v>(&self, value: &'v Self::Value) -> Result<Option<Cow<'v, str>>, ParseError<Self::Fault>>;

    /// Cleans a text.
    fn clean(&self, clean: &Clean, text: &str) -> Option<String> {
        clean(text)
    }

    /// Whether an object has a member; nothing for another value.
    ///
    /// # Errors
    /// The tree's own fault.
    fn has(&mut self, value: &Self::Value, name: &str) -> Result<Option<bool>, Self::Fault>;

    /// Gives an object one more member.
    ///
    /// # Errors
    /// The tree's own fault.
    fn give(&mut self, object: &mut Self::Value, name: &str, value: Self::Value) -> Result<(), Self::Fault>;
}

impl Outline {
    /// Strips and cleans; gives by how much the [`weight`] has grown.
    pub(in crate::validation) fn prepare<T: Tree>(
        &self,
        tree: &mut T,
        value: &mut T::Value,
        bounds: &Bounds,
    ) -> Result<usize, ParseError<T::Fault>> {
        let mut walk = Walk { outline: self, grown: 0, most: bounds.max_bytes };
        if self.spots.first().is_some_and(|spot| spot.before) {
            walk.before(tree, value, 0)?;
        }
        Ok(weight(0, walk.grown))
    }

    /// Puts the defaults in.
    pub(in crate::validation) fn complete<T: Tree>(
        &self,
        tree: &mut T,
        value: &mut T::Value,
    ) -> Result<(), ParseError<T::Fault>> {
        self.after(tree, value, 0)
    }

    /// A default, as it would be if it had been sent to the place `at`.
    pub(super) fn prepared(&self, mut default: Value, at: usize) -> Value {
        let mut walk = Walk { outline: self, grown: 0, most: usize::MAX };
        let mut tree = super::super::value::ValueBuilder::default();
        if self.spots.get(at).is_some_and(|spot| spot.before) {
            // Nothing here fails: the texts of a schema are Unicode, and there is room.
            let _ = walk.before(&mut tree, &mut default, at);
        }
        default
    }

    fn after<T: Tree>(
        &self,
        tree: &mut T,
        value: &mut T::Value,
        at: usize,
    ) -> Result<(), ParseError<T::Fault>> {
        let Some(spot) = self.spots.get(at).filter(|spot| spot.after) else { return Ok(()) };
        tree.members(value, &mut |tree, name, member| self.complete_at(tree, member, spot.member(name)))?;
        tree.elements(value, &mut |tree, index, element| {
            self.complete_at(tree, element, spot.element(index))
        })?;
        for (name, default) in &spot.defaults {
            if tree.has(value, name).map_err(ParseError::Fault)? == Some(false) {
                let default = copied(default, tree).map_err(ParseError::Fault)?;
                tree.give(value, name, default).map_err(ParseError::Fault)?;
            }
        }
        Ok(())
    }

    /// Containers are changed where they are, so that theirs need not be.
    fn complete_at<T: Tree>(
        &self,
        tree: &mut T,
        value: &mut T::Value,
        at: Option<usize>,
    ) -> Result<Fate, ParseError<T::Fault>> {
        if let Some(at) = at {
            self.after(tree, value, at)?;
        }
        Ok(Fate::Kept)
    }
}

impl Spot {
    fn member(&self, name: &str) -> Option<usize> {
        self.members.get(name).copied().unwrap_or_else(|| self.unlisted(name))
    }

    /// Where a name leads that is not listed.
    fn unlisted(&self, name: &str) -> Option<usize> {
        let mut found = None;
        for (pattern, to) in &self.patterns {
            match (pattern.matches(name), found) {
                (Some(false), _) => {}
                (Some(true), None) => found = Some(*to),
                _ => return self.mixed,
            }
        }
        found.unwrap_or(self.other)
    }

    fn element(&self, index: usize) -> Option<usize> {
        self.prefix.get(index).copied().unwrap_or(self.rest)
    }
}

struct Walk<'o> {
    outline: &'o Outline,
    /// By how many bytes texts have grown.
    grown: usize,
    most: usize,
}

impl Walk<'_> {
    fn before<T: Tree>(
        &mut self,
        tree: &mut T,
        value: &mut T::Value,
        at: usize,
    ) -> Result<Fate, ParseError<T::Fault>> {
        let Some(spot) = self.outline.spots.get(at).filter(|spot| spot.before) else { return Ok(Fate::Kept) };
        if let Some(clean) = &spot.clean
            && let Some(text) = tree.text(value)?
        {
            let Some(cleaned) = tree.clean(clean, &text) else { return Ok(Fate::Kept) };
            self.grown = self.grown.saturating_add(cleaned.len().saturating_sub(text.len()));
            if self.grown > self.most {
                return Err(ParseError::Rejected(JsonRejection { reason: Reason::TooLarge, offset: None }));
            }
            *value = tree.string(&cleaned).map_err(ParseError::Fault)?;
            return Ok(Fate::Changed);
        }
        tree.members(value, &mut |tree, name, member| match spot.members.get(name) {
            None if spot.strips => Ok(Fate::Dropped),
            Some(None) => Ok(Fate::Kept),
            Some(Some(at)) => self.before(tree, member, *at),
            None => spot.unlisted(name).map_or(Ok(Fate::Kept), |at| self.before(tree, member, at)),
        })?;
        tree.elements(value, &mut |tree, index, element| {
            spot.element(index).map_or(Ok(Fate::Kept), |at| self.before(tree, element, at))
        })?;
        Ok(Fate::Kept)
    }
}
