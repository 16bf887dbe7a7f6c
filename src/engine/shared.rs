//! Resources that units and stages share in a run, made when they are first asked for.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

type Made = Arc<dyn Any + Send + Sync>;
type Cell = Arc<Mutex<Option<Made>>>;

/// Resources by type and name: encoder, vector pools, collections of books. One that changes holds a lock of its own.
#[derive(Default)]
pub struct Shared {
    cells: Mutex<HashMap<(TypeId, String), Cell>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("resources", &lock(&self.cells).len()).finish()
    }
}

/// A resource is whole even if whoever held its lock panicked: it is put in place in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The resource of a type and name (a scope, a model; empty where there is one), made now if it is not there. Of
    /// several threads that ask at once, one makes it and the others wait.
    ///
    /// # Errors
    /// What `make` answers; the next to ask tries again.
    pub fn get<T: Send + Sync + 'static>(&self, name: &str, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let cell = Arc::clone(lock(&self.cells).entry((TypeId::of::<T>(), name.to_owned())).or_default());
        let mut made = lock(&cell);
        if let Some(known) = made.clone().and_then(|known| known.downcast().ok()) {
            return Ok(known);
        }
        let new = Arc::new(make()?);
        *made = Some(Arc::clone(&new) as Made);
        Ok(new)
    }

    /// The resource, if it was made.
    pub fn find<T: Send + Sync + 'static>(&self, name: &str) -> Option<Arc<T>> {
        let cell = lock(&self.cells).get(&(TypeId::of::<T>(), name.to_owned())).map(Arc::clone)?;
        let made = lock(&cell).clone();
        made?.downcast().ok()
    }

    /// Puts a resource in place.
    pub fn set<T: Send + Sync + 'static>(&self, name: &str, value: T) {
        let cell: Cell = Arc::new(Mutex::new(Some(Arc::new(value))));
        lock(&self.cells).insert((TypeId::of::<T>(), name.to_owned()), cell);
    }

    /// Drops a resource. Who still holds it keeps it.
    pub fn forget<T: 'static>(&self, name: &str) {
        lock(&self.cells).remove(&(TypeId::of::<T>(), name.to_owned()));
    }

    /// Drops all resources of a type.
    pub fn forget_all<T: 'static>(&self) {
        lock(&self.cells).retain(|(of, _), _| *of != TypeId::of::<T>());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::error::Error;

    #[test]
    fn a_resource_is_made_once_until_it_is_dropped_and_a_failure_is_tried_again() {
        let (shared, made) = (Shared::default(), AtomicU32::new(0));
        assert!(shared.get::<u32>("a", || Err(Error::input("not yet"))).is_err());
        assert!(shared.find::<u32>("a").is_none());
        let make = || Ok(made.fetch_add(1, Ordering::SeqCst));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(*shared.get("a", make).unwrap(), 0));
            }
        });
        assert_eq!(*shared.get("b", make).unwrap(), 1, "names are apart");
        shared.forget::<u32>("a");
        assert_eq!((*shared.get("a", make).unwrap(), *shared.get("b", make).unwrap()), (2, 1));
        shared.forget_all::<u32>();
        assert!(shared.find::<u32>("b").is_none());
    }

    #[test]
    fn a_resource_may_be_made_of_another() {
        let shared = Shared::default();
        let both = shared.get::<String>("", || Ok(format!("{}!", shared.get::<u32>("", || Ok(7))?))).unwrap();
        assert_eq!(*both, "7!");
    }
}
