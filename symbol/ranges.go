package symbol

// addrRange is [start, end).
type addrRange struct{ start, end uint64 }

// Entries of range lists, DWARF 5 section 7.25.
const (
	rleEndOfList    = 0
	rleBaseAddressx = 1
	rleStartxEndx   = 2
	rleStartxLength = 3
	rleOffsetPair   = 4
	rleBaseAddress  = 5
	rleStartEnd     = 6
	rleStartLength  = 7
)

// entryRanges returns the memory that e covers, also what is empty or no
// longer in the program. A list that cannot be read ends where that shows.
func (d *dwarfData) entryRanges(u *unit, e *entry) []addrRange {
	if e.has(atRanges) {
		if u.version >= 5 {
			return d.rnglist(u, e.ranges)
		}
		return d.rangeList(u, e.ranges.num)
	}
	if !e.has(atLowPC) || !e.has(atHighPC) {
		return nil
	}
	end := e.highPC
	if e.highRelative {
		end += e.lowPC
	}
	return []addrRange{{e.lowPC, end}}
}

// spend counts one entry of a range list, which has at least four bytes in
// .debug_ranges and one in .debug_rnglists. Each list has one reader; a file
// where many entries refer to a long list was made to hurt.
func (d *dwarfData) spend() bool {
	d.rangeWork++
	return d.rangeWork <= len(d.ranges)/4+len(d.rnglists)+1024
}

// rangeList reads a list of DWARF 2 to 4, in .debug_ranges.
func (d *dwarfData) rangeList(u *unit, off uint64) (all []addrRange) {
	if off >= uint64(len(d.ranges)) {
		return nil
	}
	c := cursor{data: d.ranges, pos: int(off), big: d.big}
	base := u.lowPC
	highest := ^uint64(0) >> (64 - 8*uint(u.asize))
	for d.spend() {
		low, high := c.uint(int(u.asize)), c.uint(int(u.asize))
		switch {
		case c.bad || low == 0 && high == 0:
			return all
		case low == highest:
			base = high
		default:
			all = append(all, addrRange{(base + low) & highest, (base + high) & highest})
		}
	}
	return all
}

// rnglist reads a list of DWARF 5, in .debug_rnglists.
func (d *dwarfData) rnglist(u *unit, v value) (all []addrRange) {
	off := v.num
	if v.form == formRnglistx {
		n := 4
		if u.wide {
			n = 8
		}
		rel, ok := d.slot(d.rnglists, u.rngBase, v.num, n)
		if !ok {
			return nil
		}
		off = u.rngBase + rel
	}
	if off >= uint64(len(d.rnglists)) {
		return nil
	}
	c := cursor{data: d.rnglists, pos: int(off), big: d.big}
	base, size := u.lowPC, int(u.asize)
	for d.spend() {
		var r addrRange
		ok := true
		switch kind := c.u8(); kind {
		case rleBaseAddressx:
			base, _ = d.indexed(u, c.uleb())
			continue
		case rleBaseAddress:
			base = c.uint(size)
			continue
		case rleStartxEndx:
			r.start, ok = d.indexed(u, c.uleb())
			r.end, _ = d.indexed(u, c.uleb())
		case rleStartxLength:
			r.start, ok = d.indexed(u, c.uleb())
			r.end = r.start + c.uleb()
		case rleOffsetPair:
			r.start = base + c.uleb()
			r.end = base + c.uleb()
		case rleStartEnd:
			r.start = c.uint(size)
			r.end = c.uint(size)
		case rleStartLength:
			r.start = c.uint(size)
			r.end = r.start + c.uleb()
		default: // rleEndOfList, or unknown
			return all
		}
		if c.bad {
			return all
		}
		if ok {
			all = append(all, r)
		}
	}
	return all
}
