package callers

// MoveAnchor makes distances relative to pc, with the table of far addresses
// empty, and returns a function that undoes it. Not for concurrent use.
func MoveAnchor(pc uintptr) (restore func()) {
	old := anchorPC
	anchorPC = pc
	clear(farTable[:])
	return func() {
		anchorPC = old
		clear(farTable[:])
	}
}

// FarPlaces is the size of the table of far addresses.
const FarPlaces = len(farTable)

// Lost is the slot of an address that the table had no place for.
const Lost = uint32(lost)

// SlotOf returns the slot for pc, interning it if need be.
var SlotOf = slotOf

// FarAddresses returns the contents of the table of far addresses.
func FarAddresses() (pcs []uintptr) {
	for _, pc := range farTable {
		if pc != 0 {
			pcs = append(pcs, pc)
		}
	}
	return pcs
}
