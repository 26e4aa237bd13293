package symbol

import "slices"

// unitData is what looking up an address in a unit needs.
type unitData struct {
	functions []funcEntry
	segments  spans // memory to the innermost of functions
	lines     *lineTable
}

// What an entry belongs to, where it is no function.
const (
	nothing = -1
	dropped = -2 // a function that the linker dropped
)

// funcEntry is a function or an inlined copy of one.
type funcEntry struct {
	name     string // as the linker knows it
	parent   int32  // in functions; negative: none
	depth    int32
	inlined  bool
	callFile uint32 // where the copy was inlined, in the unit's line table
	callLine uint32
	// outermost is the function it was inlined into in the end, or itself.
	outermost int32
}

const (
	// maxInline bounds how deep functions are inlined into each other.
	maxInline = 128
	// maxDepth bounds how deep entries nest.
	maxDepth = 4096
)

// readUnit reads the functions and lines of u. With an error it returns what
// it could read.
func (d *dwarfData) readUnit(u *unit) (*unitData, error) {
	data := new(unitData)
	data.functions = d.functionBuf[:0]
	covered, err := d.functions(u, data, d.covered[:0])
	data.segments = slices.Clone(flatten(covered))
	d.covered = covered
	d.functionBuf, data.functions = data.functions, slices.Clone(data.functions)
	if u.hasLines {
		var lineErr error
		if data.lines, lineErr = d.lineTable(u); err == nil {
			err = lineErr
		}
	}
	if data.lines != nil {
		data.lines.keepAtZero(data.endAtZero())
	}
	return data, err
}

// functions walks over the entries of u in the order of the file and collects
// functions with the memory that they cover.
func (d *dwarfData) functions(u *unit, data *unitData, covered []span) ([]span, error) {
	if !u.children {
		return covered, nil
	}
	table, err := d.abbrevs(abbrevKey{u.abbrev, u.layout})
	if err != nil {
		return covered, err
	}
	c := cursor{data: d.info[:u.end], pos: int(u.next), big: d.big}
	// open holds, for every level of nesting, the function that entries on it
	// belong to.
	open := make([]int32, 1, 32)
	open[0] = nothing
	for len(open) > 0 && c.left() > 0 {
		code := c.uleb()
		if code == 0 {
			open = open[:len(open)-1]
			continue
		}
		a := table.get(code)
		if a == nil || len(open) > maxDepth {
			return covered, errUnit
		}
		within := open[len(open)-1]
		switch a.tag {
		case tagSubprogram, tagInlinedSubroutine:
			e := d.attributes(u, &c, a)
			var f int32
			if f, covered = d.function(u, data, &e, a.tag, within, covered); f != nothing {
				within = f
			}
		case tagStructureType, tagClassType, tagUnionType, tagEnumerationType, tagArrayType, tagSubroutineType:
			// Code of member functions is described elsewhere.
			e := d.attributes(u, &c, a)
			if a.children && e.sibling > uint64(c.pos) {
				c.pos = int(e.sibling)
				continue
			}
		default:
			d.skipEntry(u, &c, a)
		}
		if a.children {
			open = append(open, within)
		}
		if c.bad {
			return covered, errUnit
		}
	}
	return covered, nil
}

func (d *dwarfData) skipEntry(u *unit, c *cursor, a *abbrev) {
	if a.size >= 0 {
		c.skip(uint64(a.size))
		return
	}
	for _, s := range a.attrs {
		skipForm(c, s.form, u.layout)
	}
}

// function adds the function that e describes and appends the memory that it
// covers. It returns the function's number, or nothing or dropped if it has no
// code.
func (d *dwarfData) function(u *unit, data *unitData, e *entry, tag uint16, within int32, covered []span) (int32, []span) {
	if !e.has(atRanges) && !(e.has(atLowPC) && e.has(atHighPC)) {
		return nothing, covered // a declaration, or what inlined copies refer to
	}
	if within == dropped {
		return dropped, covered
	}
	f := funcEntry{parent: within, inlined: tag == tagInlinedSubroutine}
	if within >= 0 {
		f.depth = data.functions[within].depth + 1
	}
	number := int32(len(data.functions))
	f.outermost = number
	if !f.inlined {
		f.parent = nothing // a function inside another is called, not inlined
	} else {
		if within >= 0 {
			f.outermost = data.functions[within].outermost
		}
		f.callFile, f.callLine = uint32(min(e.callFile, 1<<32-1)), uint32(min(e.callLine, 1<<31-1))
	}
	n := len(covered)
	for _, r := range d.entryRanges(u, e) {
		if d.text.code(r.start, r.end) {
			covered = append(covered, span{r.start, r.end, number, f.depth})
		}
	}
	if len(covered) == n && !f.inlined {
		return dropped, covered
	}
	// An inlined copy without memory is kept: strict DWARF 2 cannot tell that
	// of one in several pieces, but what was inlined into it has its own.
	f.name = d.functionName(u, e)
	if !f.inlined && covered[n].start == 0 && !d.text.real(f.name, covered[n].end) {
		return dropped, covered[:n]
	}
	data.functions = append(data.functions, f)
	return number, covered
}

// endAtZero returns the end of the function at address 0, 0 if there is none.
func (data *unitData) endAtZero() (end uint64) {
	first := int32(nothing)
	for _, s := range data.segments {
		outermost := data.functions[s.item].outermost
		if first == nothing {
			first = outermost
		}
		if s.start != end || outermost != first {
			break
		}
		end = s.end
	}
	return end
}

// chain returns the functions at pc, innermost first.
func (data *unitData) chain(pc uint64, buf []*funcEntry) []*funcEntry {
	i, ok := data.segments.find(pc)
	if !ok {
		return nil
	}
	for f := int32(i); f >= 0 && len(buf) < maxInline; f = data.functions[f].parent {
		buf = append(buf, &data.functions[f])
	}
	return buf
}

// same reports whether a and b lie in the same function, inlined ones apart.
func (data *unitData) same(a, b uint64) bool {
	i, ok := data.segments.find(a)
	j, ok2 := data.segments.find(b)
	return ok && ok2 && data.functions[i].outermost == data.functions[j].outermost
}

// lineAt returns file and line at pc, line 0 if there is none, and where the
// continuous piece of code with these lines starts. Lines of code that the
// linker dropped from address 0 are none.
func (data *unitData) lineAt(pc uint64) (file, line uint32, start uint64) {
	if data.lines == nil {
		return 0, 0, pc
	}
	file, line, start = data.lines.find(pc)
	if start == 0 {
		if _, ok := data.segments.find(pc); !ok {
			return 0, 0, pc
		}
	}
	return file, line, start
}
