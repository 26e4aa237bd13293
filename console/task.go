package console

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// The table that the LiteOS 5.0 shell prints for the command task. Columns
// differ with the configuration; they are found by name. Source:
// shell/src/base/task_shellcmd.c of LiteOS, and logs.
//
//	Name                   TaskEntryAddr       TID    Affi  ...  CPUUSE1s     MEMUSE
//	----                   -------------       ---    ----  ...  --------     ------
//	SerialShellTask        0x31424             0x0    0x000f ... 0.1          8056

const (
	// maxTasks bounds the tasks remembered, and maxTaskName their names.
	maxTasks    = 4096
	maxTaskName = 64
	// maxTaskColumns bounds the columns of a table.
	maxTaskColumns = 64
	// maxTaskGap is how many lines in a row can interrupt a table.
	maxTaskGap = 4
	// A table that changes all the time shall not cost a copy of all names for
	// each listing: copies hold at most so many names together, and so many
	// more per row.
	nameBudget  = 1 << 20
	namesPerRow = 16
)

// A Task is a task of the device as its task table showed it last.
type Task struct {
	ID   heap.Owner
	Name string
	Used uint64 // bytes of heap that it owns; 0 also if the table does not say
}

// A taskTable reads task tables.
type taskTable struct {
	taskState
	read   int      // rows so far
	left   int      // rows beyond maxTasks
	copied int      // names
	stale  int      // times that the names were to be copied too often
	words  [][]byte // of a line, for the next to use
}

// taskState is what ends when the device restarts.
type taskState struct {
	tasks map[heap.Owner]Task
	// names and others, which lacks task 0, are what snapshots are given; they are
	// replaced, never written to.
	names, others map[heap.Owner]string

	changed bool // since names was made

	columns int // of the table being read, from Name on; 0: none
	prefix  int // words of a logger in front of Name
	id, mem int // columns counted from the last, which is 0; mem -1: none
	gap     int // lines since the last row
	rows    int
}

// restart forgets what ends with a boot.
func (t *taskTable) restart() { t.taskState = taskState{} }

// header begins a table if the line is the head of one.
func (t *taskTable) header(line []byte) bool {
	words := bytes.Fields(line)
	column := func(name string) int {
		return slices.IndexFunc(words, func(w []byte) bool { return string(w) == name })
	}
	name, id, mem := column("Name"), column("TID"), column("MEMUSE")
	if name < 0 || id < name || column("Status") < id || name+maxTaskColumns < len(words) {
		return false
	}
	last := len(words) - 1
	t.taskState = taskState{
		tasks: t.tasks, names: t.names, changed: t.changed,
		columns: len(words) - name, prefix: name, id: last - id, mem: -1,
	}
	if mem > name {
		t.mem = last - mem
	}
	return true
}

// line reads a row if there is a table and the line is one.
func (t *taskTable) line(line []byte) bool {
	if t.columns == 0 {
		return false
	}
	if t.row(line) {
		t.gap = 0
		t.rows++
		return true
	}
	if t.gap++; t.gap > maxTaskGap || t.rows > 0 && skipSpace(line, 0) == len(line) {
		t.columns = 0
	}
	return false
}

func (t *taskTable) row(line []byte) bool {
	t.words = fields(line, t.words[:0])
	words := t.words
	if len(words) < t.prefix+t.columns || len(words) > t.prefix+t.columns+8 {
		return false
	}
	last := len(words) - 1
	word := words[last-t.id]
	id, end := parseHex(word, 0)
	if end != len(word) || id > 1<<16-1 {
		return false
	}
	var used uint64
	if t.mem >= 0 {
		word = words[last-t.mem]
		if used, end = parseDec(word, 0); end != len(word) {
			return false
		}
	}
	// Only the name can hold spaces.
	name := words[t.prefix]
	if n := len(words) - t.prefix - t.columns; n > 0 {
		name = bytes.Join(words[t.prefix:t.prefix+n+1], []byte(" "))
	}
	t.put(heap.Owner(id), name[:min(len(name), maxTaskName)], used)
	return true
}

func (t *taskTable) put(id heap.Owner, name []byte, used uint64) {
	t.read++
	task, known := t.tasks[id]
	switch {
	case known && task.Name == string(name):
		if task.Used == used {
			return
		}
	case !known && len(t.tasks) >= maxTasks:
		t.left++
		return
	default:
		task.ID, task.Name = id, strings.ToValidUTF8(string(name), "?")
		t.changed = true
	}
	task.Used = used
	if t.tasks == nil {
		t.tasks = map[heap.Owner]Task{}
	}
	t.tasks[id] = task
}

// fields appends the words of a line to words.
func fields(line []byte, words [][]byte) [][]byte {
	for i := skipSpace(line, 0); i < len(line); i = skipSpace(line, i) {
		start := i
		for i < len(line) && !isSpace(line[i]) {
			i++
		}
		words = append(words, line[start:i])
	}
	return words
}

// owners returns the names of the tasks, without that of task 0 unless first is
// set. The map must not be written to.
func (t *taskTable) owners(first bool) map[heap.Owner]string {
	t.copyNames()
	if first {
		return t.names
	}
	return t.others
}

// copyNames makes the names that snapshots are given.
func (t *taskTable) copyNames() {
	if !t.changed {
		return
	}
	if t.copied+2*len(t.tasks) > nameBudget+namesPerRow*t.read {
		t.stale++
		return
	}
	t.changed = false
	t.copied += len(t.tasks)
	t.names = make(map[heap.Owner]string, len(t.tasks))
	for id, task := range t.tasks {
		t.names[id] = task.Name
	}
	t.others = t.names
	if _, ok := t.names[0]; ok {
		t.copied += len(t.tasks)
		t.others = maps.Clone(t.names)
		delete(t.others, 0)
	}
}

// name returns the name of a task, "" if it is not known.
func (t *taskTable) name(id heap.Owner) string { return t.tasks[id].Name }

// notes says what was left out.
func (t *taskTable) notes(log string) []string {
	var notes []string
	if t.left > 0 {
		notes = append(notes, fmt.Sprintf("%s: %s of task tables left out: only %d tasks are remembered", log, plain.Plural(t.left, "row"), maxTasks))
	}
	if t.stale > 0 {
		notes = append(notes, fmt.Sprintf("%s: task tables change too often: %s with old names of tasks", log, plain.Plural(t.stale, "snapshot")))
	}
	return notes
}

// Tasks returns the tasks of the device by ID, as the task tables read so far
// showed them since it last booted.
func (r *Reader) Tasks() []Task {
	tasks := make([]Task, 0, len(r.tasks.tasks))
	for _, t := range r.tasks.tasks {
		tasks = append(tasks, t)
	}
	slices.SortFunc(tasks, func(a, b Task) int { return int(a.ID) - int(b.ID) })
	return tasks
}
