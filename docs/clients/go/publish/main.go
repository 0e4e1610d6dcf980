// Publish a text: go run ./publish ID TEXT. Published again with the same id, it is the same text.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go run ./publish ID TEXT")
		os.Exit(2)
	}
	id, text := os.Args[1], os.Args[2]
	value, err := json.Marshal(map[string]any{
		"text":   text,
		"tasks":  map[string]any{"intent": map[string]any{}, "ner": map[string]any{}},
		"tenant": env("TENANT", "acme-bank"),
	})
	must(err)
	record := &kgo.Record{
		Topic: env("PREFIX", "sprat") + ".texts.v1",
		Key:   []byte(env("KEY", id)), // a customer, a conversation: what has the same key keeps its order
		Value: value,
		Headers: []kgo.RecordHeader{
			{Key: "ce_specversion", Value: []byte("1.0")},
			{Key: "ce_id", Value: []byte(id)},
			{Key: "ce_source", Value: []byte(env("SOURCE", "/crm/mail"))},
			{Key: "ce_type", Value: []byte("dev.sprat.text.submitted.v1")},
		},
	}
	// By default it is idempotent, waits for all replicas, and chooses partitions by keys as Java's clients do.
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(env("BOOTSTRAP", "127.0.0.1:9092"), ",")...))
	must(err)
	defer client.Close()
	must(client.ProduceSync(context.Background(), record).FirstErr())
	// A dead letter, if any, names the same partition and offset.
	fmt.Printf("%s %d@%d\n", record.Topic, record.Partition, record.Offset)
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
