package heap

// RAM is the contents of a memory by address, with holes: what was left of a
// device or process.
type RAM interface {
	// View returns the n bytes from addr on, or nil if not all of them are
	// there. They must not be written to and stay valid as long as the memory.
	View(addr Addr, n uint64) []byte
	// Spans returns the memory in pieces, in ascending order of address and
	// not overlapping. They must not be written to either.
	Spans() []Memory
}

// A Program is what debug information and symbols say about the data of the
// observed program.
type Program interface {
	// Struct returns how a structure, or a typedef of one, lies in memory, as
	// C names it without the word struct.
	Struct(name string) (Struct, bool)
	// Variable returns where a variable of that name lies. Its length is 0
	// where it is not known.
	Variable(name string) (Span, bool)
	// Data returns the sections that the program could write to, in ascending
	// order of address.
	Data() []Section
}

// A Struct is how a structure lies in memory.
type Struct struct {
	Name string
	Size uint64 // in bytes
	// Fields are in the order of their offsets. Members of nested structures
	// and unions follow the member that holds them, "selfNode" before
	// "selfNode.preNode"; those of nameless ones have names of their own.
	Fields []StructField
}

// A StructField is a member of a Struct.
type StructField struct {
	Name         string
	Offset, Size uint64 // in bytes, from the start of the outermost structure
}

// Field returns the member of that name.
func (s *Struct) Field(name string) (StructField, bool) {
	for _, f := range s.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return StructField{}, false
}

// A Section is a piece of a program's memory with its name, such as .bss.
type Section struct {
	Span
	Name string
}
