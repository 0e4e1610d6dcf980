{{- define "sprat.ownTasks" -}}intent ner translation language-id{{- end -}}
