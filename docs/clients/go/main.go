// Join the Results of all tasks by text, read dead letters beside them, and store each effect once, also after a kill.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	prefix, tenant = env("PREFIX", "sprat"), env("TENANT", "acme-bank")
	source         = env("SOURCE", "/crm/mail") // the `ce_source` of our texts
	tasks          = []string{"intent", "ner", "translation"}
	deadLetters    = prefix + ".dead-letters.v1"
)

func take(store *Store, record *kgo.Record) {
	headers := map[string]string{}
	for _, header := range record.Headers {
		headers[header.Key] = string(header.Value)
	}
	if record.Topic == deadLetters {
		if headers["ce_source"] != source {
			return
		}
		var id []string // a repeat has the same
		letter := map[string]string{
			"ce_id":        headers["ce_id"], // of the text; empty: none
			"error_code":   headers["sprat_error_code"],
			"error_detail": headers["sprat_error_detail"],
		}
		place := []string{"origin_topic", "origin_partition", "origin_offset", "origin_timestamp"}
		for _, name := range append(place, "service") {
			letter[name] = headers["sprat_"+name]
			id = append(id, letter[name])
		}
		if effect := (&Effect{ID: strings.Join(id, "/"), DeadLetter: letter}); store.letters[effect.ID] == nil {
			store.add(effect)
		}
		return
	}
	// Rule 2: headers tell whose Result it is and whether it has an output. Rule 5: other types are skipped, and so is
	// whatever has no value; an unknown status, code, reason or field changes nothing.
	if headers["ce_type"] != "dev.sprat.result.decided.v1" || record.Value == nil {
		return
	}
	if headers["ce_tenant"] != tenant {
		var stray Result // its bytes say whether it may be of our source: most of the others need not be decoded
		if bytes.Contains(record.Value, []byte(source)) && json.Unmarshal(record.Value, &stray) == nil && stray.TextSource == source {
			fmt.Fprintf(os.Stderr, "stray: %s %s: tenant is %s, not %s: was `tenant` forgotten or misspelt?\n",
				stray.TextID, stray.Task, headers["ce_tenant"], tenant)
			stray.warn()
		}
		return
	}
	// Rule 1: the first Result with an output counts, and all Results of a text and a task have the same `ce_id`.
	effect := &Effect{ID: headers["ce_id"], HasOutput: headers["ce_status"] != "unanswered"}
	if hadOutput, known := store.answered[effect.ID]; known && (hadOutput || !effect.HasOutput) {
		return
	}
	must(json.Unmarshal(record.Value, &effect.Result))
	effect.Result.warn()
	store.add(effect)
}

func main() {
	store := open(env("STORE", "results.jsonl"))
	topics := []string{deadLetters}
	for _, task := range tasks {
		topics = append(topics, prefix+".results."+task+".v1")
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(env("BOOTSTRAP", "127.0.0.1:9092"), ",")...),
		kgo.ConsumerGroup(env("GROUP", "crm-go")),
		kgo.InstanceID("1"), // of this process: after a restart it has its partitions again at once
		kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // the default also reads what a transaction aborts
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), // no partition moves between a poll and its commit
	)
	must(err)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	idle, err := time.ParseDuration(env("UNTIL_IDLE", "0") + "s")
	must(err)
	for {
		poll, cancel := ctx, context.CancelFunc(func() {})
		if idle > 0 {
			poll, cancel = context.WithTimeout(ctx, idle)
		}
		fetches := client.PollFetches(poll)
		ended := poll.Err() != nil // by a signal, or because nothing came for so long
		cancel()
		if ended {
			break
		}
		must(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) { take(store, record) })
		must(store.file.Sync())
		must(client.CommitUncommittedOffsets(context.Background())) // only what is stored: a kill before it means repeats
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
	var found []*Text
	for text := range store.texts {
		if joined := store.joined(text); joined != nil {
			found = append(found, joined)
		}
	}
	slices.SortFunc(found, func(a, b *Text) int { return slices.Compare(a.Place, b.Place) }) // rule 4
	output := json.NewEncoder(os.Stdout)
	for _, text := range found {
		must(output.Encode(text))
	}
	for _, letter := range store.letters {
		must(output.Encode(map[string]any{"dead_letter": letter}))
	}
}

func env(name, otherwise string) string {
	return cmp.Or(os.Getenv(name), otherwise)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
