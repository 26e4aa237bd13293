package symbol

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// dwarfData is the debug information of a program, DWARF 2 to 5.
//
// It is read here and not by debug/dwarf, which believes what a file claims: it
// allocates the number of directories that a line table announces, and parses
// the table of abbreviations of every unit when it opens the file, also where
// thousands of them overlap. A file of some kilobytes can make it take all
// memory, which no recover can undo. Besides, finding functions needs few of
// the entries of a file, and skipping the others can be much cheaper than
// decoding them.
//
// Opening reads the root entry of each compilation unit, which tells the memory
// it covers. The rest of a unit is read when the first address in it is looked
// up, once.
type dwarfData struct {
	info, abbrev, line, str, lineStr, strOffsets, addr, ranges, rnglists string

	// typesAt is where in info, behind .debug_info, .debug_types begins; 0: there
	// is none.
	typesAt int

	big   bool
	text  textSpans
	split int    // units of which most is in a file of its own, not read
	units []unit // in ascending order of offset
	index spans  // memory to unit
	// loose are units that do not tell the memory they cover, or wrongly. They
	// are all read at the first address that no other unit claims.
	loose     []int
	looseOnce sync.Once
	looseIdx  spans
	// signatures has the types that have units of their own, by the numbers
	// that refer to them, as offsets in info.
	signatures map[uint64]uint64

	mu     sync.Mutex // guards what follows, and reading units
	tables map[abbrevKey]*abbrevTable
	names  map[uint64]string     // of entries, by offset in info
	lines  map[uint64]*lineTable // by offset in line
	types  *typeIndex            // nil: nobody has asked for a type
	// refused says of structures why they are not used.
	refused []string
	// What units are read into before it is known how much there is.
	rows        []lineRow
	covered     []span
	functionBuf []funcEntry
	// Work done so far, bounded by what it can be in a sound file.
	abbrevWork, rangeWork, lineWork int
	damaged                         int // units that could not be read, or not fully
	firstDamage                     error
}

// textSpans is where the program's code lies.
type textSpans struct {
	spans
	// atZero holds the names of functions that the symbol table has at address
	// 0. Linkers that drop a function leave its debug information, with the
	// address 0; where code lies there the two must be told apart.
	atZero map[string]bool
	// scoped holds the readable names of those with mangled ones, by size.
	scoped map[uint64]string
	// known says that there is a symbol table to tell them apart by.
	known bool
}

// real reports whether a function that its debug information places at
// [0, end) is there. Of a C++ function that other files do not see the debug
// information has the bare name, which many can share: its size must fit too.
func (t *textSpans) real(name string, end uint64) bool {
	if !t.known || t.atZero[name] {
		return true
	}
	full, ok := t.scoped[end]
	bare, _, _ := strings.Cut(name, "<")
	return ok && !mangled(name) && strings.Contains(full, bare)
}

// code reports whether [start, end) can be code of the program.
func (t *textSpans) code(start, end uint64) bool {
	if start >= end {
		return false
	}
	_, ok := t.find(start)
	return ok
}

// unit is one compilation unit.
type unit struct {
	off, end uint64 // of the whole unit in info
	first    uint64 // offset of the root entry
	abbrev   uint64 // offset of its abbreviations
	layout
	children bool // the root has some
	next     uint64
	lowPC    uint64 // what ranges are relative to
	stmtList uint64
	hasLines bool
	compDir  string
	// Where the unit's part of these sections begins, DWARF 5.
	strBase, addrBase, rngBase uint64

	data atomic.Pointer[unitData] // nil: not read yet
}

// readDWARF reads the root entries of all units. It returns nil if there is no
// debug information that could be used.
func readDWARF(d *dwarfData) *dwarfData {
	d.tables = make(map[abbrevKey]*abbrevTable)
	d.names = make(map[uint64]string)
	d.lines = make(map[uint64]*lineTable)
	d.signatures = make(map[uint64]uint64)
	c := cursor{data: d.info, big: d.big}
	count := 0
	for c.left() > 0 { // how many
		n, _ := c.unitLength()
		c.skip(n)
		if n >= minUnit {
			count++
		}
	}
	d.units = make([]unit, 0, count)
	c = cursor{data: d.info, big: d.big}
	var covered []span
	for c.left() > 0 {
		off := uint64(c.pos)
		n, wide := c.unitLength()
		if c.bad || n > uint64(c.left()) {
			d.damage(off, errCut)
			break
		}
		if n < minUnit {
			c.skip(n) // padding
			continue
		}
		body := c
		body.data = c.data[:c.pos+int(n)]
		c.skip(n)
		d.units = append(d.units, unit{off: off, end: uint64(len(body.data)), layout: layout{wide: wide}})
		i := len(d.units) - 1
		ranges, ok, err := d.root(&d.units[i], body)
		if err != nil {
			d.damage(off, err)
			d.units = d.units[:i]
			continue
		}
		if !ok {
			continue
		}
		// DWARF 2 has no way to tell several pieces of memory, so a unit with
		// functions in sections of their own tells one and conceals the rest.
		loose := d.units[i].version == 2
		empty := true
		for _, r := range ranges {
			if r.start < r.end && r.start > 0 {
				empty = false
			}
		}
		loose = loose || empty
		for _, r := range ranges {
			switch {
			case !d.text.code(r.start, r.end):
			case r.start == 0 && d.text.known:
				loose = len(d.text.atZero) > 0 // its functions tell whether it is there
			default:
				covered = append(covered, span{start: r.start, end: r.end, item: int32(i)})
			}
		}
		if loose && d.units[i].children {
			d.loose = append(d.loose, i)
		}
	}
	if len(covered) == 0 && len(d.loose) == 0 {
		return nil
	}
	d.index = flatten(covered)
	return d
}

// minUnit is the least length of a unit: its header and one entry.
const minUnit = 8

// damage notes that the unit at off could not be read fully.
func (d *dwarfData) damage(off uint64, err error) {
	d.damaged++
	if d.firstDamage == nil {
		d.firstDamage = fmt.Errorf("the unit at %#x of .debug_info: %w", off, err)
	}
}

var (
	errVersion = errors.New("a version of DWARF that is not known")
	errUnit    = errors.New("damaged")
	errCut     = errors.New("cut")
)

// root reads the header and the root entry of u. Units of types, and those
// that only others import, are not ok: no code belongs to them.
func (d *dwarfData) root(u *unit, c cursor) (ranges []addrRange, ok bool, err error) {
	u.version = c.u16()
	kind := uint8(unitCompile)
	switch {
	case c.bad || u.version < 2 || u.version > 5:
		return nil, false, errVersion
	case u.version == 5:
		kind = c.u8()
		u.asize = c.u8()
		u.abbrev = c.offset(u.wide)
	default:
		u.abbrev = c.offset(u.wide)
		u.asize = c.u8()
	}
	if d.typesAt > 0 && u.off >= uint64(d.typesAt) {
		kind = unitType
	}
	switch kind {
	case unitSkeleton, unitSplitCompile:
		c.u64() // its identity
	case unitType, unitSplitType:
		signature, at := c.u64(), c.offset(u.wide)
		if _, ok := d.signatures[signature]; !ok && at < u.end-u.off {
			d.signatures[signature] = u.off + at
		}
	}
	if u.asize != 4 && u.asize != 8 && u.asize != 2 {
		return nil, false, errUnit
	}
	u.first = uint64(c.pos)
	table, err := d.abbrevs(abbrevKey{u.abbrev, u.layout})
	if err != nil {
		return nil, false, err
	}
	a := table.get(c.uleb())
	if c.bad || a == nil {
		return nil, false, errUnit
	}
	// Attributes that are indices need the bases, which may come behind them.
	at, split := c, false
	for _, s := range a.attrs {
		v := d.value(u, &at, s)
		switch s.attr {
		case atStrOffsetsBase:
			u.strBase = v.num
		case atAddrBase, atGNUAddrBase:
			u.addrBase = v.num
		case atRnglistsBase:
			u.rngBase = v.num
		case atDwoName, atGNUDwoName:
			split = true
		}
	}
	if at.bad {
		return nil, false, errUnit
	}
	u.children = a.children
	u.next = uint64(at.pos)
	e := d.attributes(u, &c, a)
	u.compDir = d.stringOf(u, e.compDir)
	u.hasLines, u.stmtList = e.has(atStmtList), e.stmtList
	if e.has(atLowPC) {
		u.lowPC = e.lowPC
	}
	if a.tag != tagCompileUnit && a.tag != tagSkeletonUnit {
		return nil, false, nil
	}
	if split {
		d.split++
	}
	return d.entryRanges(u, &e), true, nil
}

// Kinds of units, DWARF 5 section 7.5.1.
const (
	unitCompile      = 1
	unitType         = 2
	unitSkeleton     = 4
	unitSplitCompile = 5
	unitSplitType    = 6
)

// unitAt returns the unit that holds the entry at off, nil if none does.
func (d *dwarfData) unitAt(off uint64) *unit {
	i := sort.Search(len(d.units), func(i int) bool { return d.units[i].off > off }) - 1
	if i < 0 || off < d.units[i].first || off >= d.units[i].end {
		return nil
	}
	return &d.units[i]
}

// find returns the unit whose memory contains pc, read, or nil.
func (d *dwarfData) find(pc uint64) *unitData {
	if i, ok := d.index.find(pc); ok {
		return d.read(i)
	}
	if len(d.loose) == 0 {
		return nil
	}
	if _, ok := d.text.find(pc); !ok {
		return nil
	}
	d.looseOnce.Do(d.readLoose)
	if i, ok := d.looseIdx.find(pc); ok {
		return d.read(i)
	}
	return nil
}

func (d *dwarfData) readLoose() {
	var covered []span
	for _, i := range d.loose {
		for _, s := range d.read(i).segments {
			covered = append(covered, span{start: s.start, end: s.end, item: int32(i)})
		}
	}
	d.looseIdx = flatten(covered)
}

// read reads unit i, once.
func (d *dwarfData) read(i int) *unitData {
	u := &d.units[i]
	if data := u.data.Load(); data != nil {
		return data
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if data := u.data.Load(); data != nil {
		return data
	}
	data, err := d.tryUnit(u)
	if err != nil {
		d.damage(u.off, err)
	}
	u.data.Store(data)
	return data
}

// tryUnit is readUnit that survives an error in it: what a file made to hurt
// brings about must not end the program.
func (d *dwarfData) tryUnit(u *unit) (data *unitData, err error) {
	defer func() {
		if p := recover(); p != nil {
			data, err = new(unitData), fmt.Errorf("%w: %v", errUnit, p)
		}
	}()
	return d.readUnit(u)
}

// partial says what of the debug information is elsewhere, and what of that
// read so far was damaged.
func (d *dwarfData) partial() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []string
	if d.split > 0 {
		all = append(all, fmt.Sprintf("inlined functions are not known in %d of %d compilation units: their debug information is in .dwo files, which are not read", d.split, len(d.units)))
	}
	if d.damaged > 0 {
		all = append(all, fmt.Sprintf("%d of %d compilation units could not be read fully (the first: %v)", d.damaged, max(d.damaged, len(d.units)), d.firstDamage))
	}
	if d.types != nil && d.types.full {
		all = append(all, fmt.Sprintf("it has more than %d names of types: the others are not known", maxTypes))
	}
	all = append(all, d.refused...)
	return strings.Join(all, "; ")
}
