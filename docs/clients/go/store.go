package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

type key struct{ Source, ID string }

// Effect is what one record caused: one line of the store, so that a kill leaves all of it or nothing.
type Effect struct {
	ID         string            `json:"id"`
	HasOutput  bool              `json:"has_output"`
	Result     *Result           `json:"result,omitempty"`
	Joined     *Text             `json:"joined"` // your own effect, such as a ticket, belongs beside it, or into the transaction
	DeadLetter map[string]string `json:"dead_letter,omitempty"`
}

// Result has the fields that this program uses; encoding/json skips all others (rule 5).
type Result struct {
	TextSource string                            `json:"text_source"`
	TextID     string                            `json:"text_id"`
	Task       string                            `json:"task"`
	Requested  []string                          `json:"requested"`
	Origin     struct{ Partition, Offset int64 } `json:"origin"`
	Warnings   []struct{ Code, Detail string }   `json:"warnings,omitempty"`
	Answer
}

// warn says what of the text was not understood, such as a misspelt field.
func (r *Result) warn() {
	for _, each := range r.Warnings {
		fmt.Fprintf(os.Stderr, "warning: %s %s: %s: %s\n", r.TextID, r.Task, each.Code, each.Detail)
	}
}

type Answer struct {
	Status string          `json:"status"`
	Output json.RawMessage `json:"output"`
}

type Text struct {
	TextSource string            `json:"text_source"`
	TextID     string            `json:"text_id"`
	Place      []int64           `json:"place"`
	Tasks      map[string]Answer `json:"tasks"`
}

// Store is a file of effects; in production a table, with `id` as its key.
type Store struct {
	answered map[string]bool // `ce_id` of a Result → whether it had an output
	texts    map[key]map[string]*Result
	letters  map[string]map[string]string
	file     *os.File
}

func open(path string) *Store {
	store := &Store{map[string]bool{}, map[key]map[string]*Result{}, map[string]map[string]string{}, nil}
	written, err := os.ReadFile(path)
	if !os.IsNotExist(err) {
		must(err)
	}
	whole := written[:bytes.LastIndexByte(written, '\n')+1] // a kill may have cut the last line
	for line := range bytes.Lines(whole) {
		var effect Effect
		must(json.Unmarshal(line, &effect))
		store.remember(&effect)
	}
	store.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(err)
	must(store.file.Truncate(int64(len(whole))))
	return store
}

func (s *Store) remember(effect *Effect) {
	if effect.Result == nil {
		s.letters[effect.ID] = effect.DeadLetter
		return
	}
	s.answered[effect.ID] = effect.HasOutput
	text := key{effect.Result.TextSource, effect.Result.TextID}
	if s.texts[text] == nil {
		s.texts[text] = map[string]*Result{}
	}
	s.texts[text][effect.Result.Task] = effect.Result
	effect.Joined = s.joined(text)
}

func (s *Store) add(effect *Effect) {
	s.remember(effect)
	line, err := json.Marshal(effect)
	must(err)
	_, err = s.file.Write(append(line, '\n'))
	must(err)
}

// Rule 3: joined returns the text with its Results where each task that one of them names in `requested` has one. They
// differ where the id was published again with other tasks. Tasks that we do not read do not count.
func (s *Store) joined(text key) *Text {
	joined := &Text{TextSource: text.Source, TextID: text.ID, Tasks: map[string]Answer{}}
	for task, result := range s.texts[text] {
		for _, requested := range result.Requested {
			if slices.Contains(tasks, requested) && s.texts[text][requested] == nil {
				return nil
			}
		}
		place := []int64{result.Origin.Partition, result.Origin.Offset}
		if joined.Place == nil || slices.Compare(place, joined.Place) < 0 {
			joined.Place = place
		}
		joined.Tasks[task] = result.Answer
	}
	return joined
}

