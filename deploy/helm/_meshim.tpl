{{- /*
Named templates for a chart, to copy into its templates/ folder. In the pod's template:

      containers:
      - name: app
        command: {{ include "meshim.command" (dict "command" (list "/app" "--port=8080") "options" (list "--drain" "--quit=on-stop")) }}
        volumeMounts:
        {{- include "meshim.mount" . | nindent 8 }}
      volumes:
      {{- include "meshim.volume" (dict "image" "registry.example/meshim:0.2.0") | nindent 6 }}

The command is the image's entrypoint, written out: Kubernetes does not know it. Needs image volumes (Kubernetes 1.35).
*/ -}}

{{- define "meshim.command" -}}
{{- if not .command }}{{ fail "meshim.command: name the application's command; Kubernetes does not know the image's entrypoint" }}{{ end -}}
{{- concat (list "/meshim-bin/meshim") (.options | default list) (list "--") .command | toJson -}}
{{- end }}

{{- define "meshim.mount" -}}
- { name: meshim-bin, mountPath: /meshim-bin, readOnly: true }
{{- end }}

{{- define "meshim.volume" -}}
- name: meshim-bin
  image: { reference: {{ required "meshim.volume: name the image" .image | quote }}, pullPolicy: IfNotPresent }
{{- end }}
