package demo

import (
	"hash/fnv"
	"unsafe"

	"github.com/heapwright/heapwright"
)

// Cache is a key-value cache of a fixed number of entries, the least recently
// used of which make room for new ones. Keys and values lie in a pool; the
// entries that hold them together are Go memory, which may point into a pool.
// It must not be used from several goroutines at a time.
type Cache struct {
	pool    *heapwright.Pool
	buckets []*entry // a power of two of them
	most    int
	entries int
	newest  *entry
	oldest  *entry

	bugs Bugs
}

// Bugs are the mistakes that the cache makes.
type Bugs struct {
	// Leak: the old buffer of a value that is replaced by one of another size
	// is not freed.
	Leak bool
	// Overflow: a value that is appended to is padded beyond its buffer.
	Overflow bool
}

type entry struct {
	key, value   []byte // in the pool
	next         *entry // in the bucket
	newer, older *entry // by use
}

// NewCache returns an empty cache of at most so many entries.
func NewCache(p *heapwright.Pool, most int, bugs Bugs) *Cache {
	buckets := 1
	for buckets < most {
		buckets *= 2
	}
	return &Cache{pool: p, buckets: make([]*entry, buckets), most: most, bugs: bugs}
}

// Len returns the number of entries.
func (c *Cache) Len() int { return c.entries }

// Get returns the value of a key, valid until the next change of the cache.
func (c *Cache) Get(key string) ([]byte, bool) {
	e := *c.find(key)
	if e == nil {
		return nil, false
	}
	c.touch(e)
	return e.value, true
}

// Set gives a key a value, which is copied and must not be empty.
func (c *Cache) Set(key string, value []byte) error {
	e := *c.find(key)
	if e == nil {
		var err error
		if e, err = c.insert(key); err != nil {
			return err
		}
	}
	c.touch(e)
	return c.replaceValue(e, value)
}

// Delete removes a key.
func (c *Cache) Delete(key string) error {
	if e := *c.find(key); e != nil {
		return c.remove(e)
	}
	return nil
}

// replaceValue gives an entry a value. One of another size than before needs
// another buffer.
func (c *Cache) replaceValue(e *entry, value []byte) error {
	if len(value) == len(e.value) {
		copy(e.value, value)
		return nil
	}
	buffer, err := c.pool.AllocBytes(len(value))
	if err != nil {
		return err
	}
	copy(buffer, value)
	old := e.value
	e.value = buffer
	if old == nil || c.bugs.Leak {
		return nil // the leak: nobody knows the old buffer any more
	}
	return c.pool.FreeBytes(old)
}

// lineSize is what appended values are padded to a multiple of, in bytes.
const lineSize = 128

// Append appends to the value of a key that is there, and pads it with 'A' to
// whole lines.
func (c *Cache) Append(key string, tail []byte) error {
	e := *c.find(key)
	if e == nil {
		return c.Set(key, tail)
	}
	n := len(e.value) + len(tail)
	padded := (n + lineSize - 1) / lineSize * lineSize
	if !c.bugs.Overflow {
		n = padded
	}
	buffer, err := c.pool.Alloc(n) // the overflow: this is what is not padded yet
	if err != nil {
		return err
	}
	value := unsafe.Slice((*byte)(buffer), padded)
	end := copy(value, e.value)
	old := e.value
	e.value = value[:n]
	c.touch(e)
	if err := c.pool.FreeBytes(old); err != nil {
		return err
	}
	end += copy(value[end:], tail)
	for i := end; i < len(value); i++ {
		value[i] = 'A'
	}
	return nil
}

// insert makes an entry without value, if necessary in place of the one that
// was not used for longest.
func (c *Cache) insert(key string) (*entry, error) {
	if c.entries == c.most {
		if err := c.remove(c.oldest); err != nil {
			return nil, err
		}
	}
	b, err := c.pool.AllocBytes(len(key))
	if err != nil {
		return nil, err
	}
	copy(b, key)
	e := &entry{key: b}
	*c.find(key) = e
	c.entries++
	return e, nil
}

func (c *Cache) remove(e *entry) error {
	*c.find(string(e.key)) = e.next
	c.unlink(e)
	c.entries--
	if err := c.pool.FreeBytes(e.key); err != nil {
		return err
	}
	if e.value == nil {
		return nil
	}
	return c.pool.FreeBytes(e.value)
}

// find returns where the key's entry hangs in its bucket, or would.
func (c *Cache) find(key string) **entry {
	h := fnv.New32a()
	h.Write([]byte(key))
	at := &c.buckets[int(h.Sum32())&(len(c.buckets)-1)]
	for *at != nil && string((*at).key) != key {
		at = &(*at).next
	}
	return at
}

// touch makes an entry the most recently used one.
func (c *Cache) touch(e *entry) {
	if c.newest == e {
		return
	}
	c.unlink(e)
	e.older = c.newest
	if c.newest != nil {
		c.newest.newer = e
	}
	c.newest = e
	if c.oldest == nil {
		c.oldest = e
	}
}

// unlink takes an entry out of the order of use.
func (c *Cache) unlink(e *entry) {
	if e.newer != nil {
		e.newer.older = e.older
	} else if c.newest == e {
		c.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else if c.oldest == e {
		c.oldest = e.newer
	}
	e.newer, e.older = nil, nil
}
