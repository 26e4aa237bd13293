package console

// A bootTable holds what a device numbers from 0, once a boot. Its array
// outlives the boot: a log full of restarts that claim high numbers costs no
// more than the pieces in it.
type bootTable[T any] struct {
	entries []bootEntry[T]
	boots   uint64
	made    int // entries that had to be made so far
}

type bootEntry[T any] struct {
	boot  uint64 // that value belongs to, from 1; 0: none
	value T
}

// get returns the entry with the number id, nil if this boot has none. The
// pointer is valid until the next call of at.
func (t *bootTable[T]) get(id int) *T {
	if id < len(t.entries) {
		if e := &t.entries[id]; e.boot == t.boots+1 {
			return &e.value
		}
	}
	return nil
}

// at is get, but an entry that is not there begins as the zero value.
func (t *bootTable[T]) at(id int) *T {
	if more := id + 1 - len(t.entries); more > 0 {
		t.entries = append(t.entries, make([]bootEntry[T], more)...)
		t.made += more
	}
	e := &t.entries[id]
	if e.boot != t.boots+1 {
		*e = bootEntry[T]{boot: t.boots + 1}
	}
	return &e.value
}

// restart forgets all entries.
func (t *bootTable[T]) restart() { t.boots++ }
