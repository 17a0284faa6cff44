"""Chat templates of our own which use the constructs of published ones, one per family of constructs."""

# Turns between two markers, a default system message, generation tags.
TURNS = """\
{%- set ns = namespace(system='Reply in one line.') %}
{%- for message in messages %}
    {%- if loop.first and message.role == 'system' %}
        {%- set ns.system = message['content'] %}
    {%- endif %}
{%- endfor %}
{{- '<|im_start|>system\\n' ~ ns.system ~ '<|im_end|>\\n' }}
{% for message in messages if message.role != 'system' %}
    {%- if message['role'] == 'assistant' %}
{{ '<|im_start|>assistant\\n' }}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}

    {%- else %}
{{ '<|im_start|>' + message['role'] + '\\n' + message.content + '<|im_end|>' }}
    {%- endif %}
    {{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

# Headers, the beginning token in the template, trimmed contents, a date.
HEADERS = """\
{{- bos_token }}
{%- if not today is defined %}
    {%- set today = strftime_now("%d %b %Y") %}
{%- endif %}
{#- The first message may be an instruction. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set instruction = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set instruction = '' %}
{%- endif %}
<|start_header_id|>system<|end_header_id|>

Date: {{ today }}, in ISO {{ strftime_now('%Y-%m-%d') }}
{% if tools is not none %}
    {{- 'Tools: ' + tools | tojson(indent=2) }}
{% endif %}
{{ instruction }}<|eot_id|>
{%- for message in messages %}
    {%- if message.role not in ['user', 'assistant'] %}
        {{- raise_exception('A message of ' + message.role + ' is not possible here') }}
    {%- endif %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}"""

# JSON, string methods, reasoning that is left out, an empty block where reasoning is off.
THINKING = """\
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set state = namespace(last=messages|length - 1, users=0) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if message.role == 'user' and not message.content.startswith('#') and state.users == 0 %}
        {%- set state.last = index %}
        {%- set state.users = state.users + 1 %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{% set content = message.content %}{% else %}{% set content = '' %}{% endif %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == 'assistant' %}
        {%- set thought = '' %}
        {%- if '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > state.last and (loop.last or thought) %}
            {{- '<|im_start|>assistant\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content }}
        {%- else %}
            {{- '<|im_start|>assistant\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

# Instruction inside the first turn, strict alternation, replies that end with the end token.
BRACKETS = """\
{%- if messages[0]['role'] == 'system' %}
    {%- set instruction = messages[0]['content'] %}
    {%- set turns = messages[1:] %}
{%- else %}
    {%- set turns = messages %}
{%- endif %}
{{- bos_token }}
{%- for turn in turns %}
    {%- if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Turns of user and assistant must alternate, beginning with the user!') }}
    {%- endif %}
    {%- if turn['role'] == 'user' %}
        {%- if loop.first and instruction is defined %}
            {{- '[INST] ' + instruction + '\\n\\n' + turn['content'].strip() + ' [/INST]' }}
        {%- else %}
            {{- '[INST] ' + turn['content'].strip() + ' [/INST]' }}
        {%- endif %}
    {%- elif turn['role'] == 'assistant' %}
        {{- ' ' + turn['content'] | trim + eos_token }}
    {%- else %}
        {{- raise_exception('Only system, user and assistant are roles!') }}
    {%- endif %}
{%- endfor %}"""

# No instruction at all, renamed roles, output of the interpreter's own values.
PLAIN_TURNS = """\
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system message is known here') }}{% endif %}
{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Roles must alternate user/assistant/user/assistant') }}
{% endif %}
{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}
{% endfor %}
{% if add_generation_prompt %}
{{ '<start_of_turn>model\\n' }}
{% endif %}"""

# Everything that prints differently in other interpreters.
PRINTING = """\
{%- macro show(name, value) %}{{ name.upper() }}={{ value }};{% endmacro %}
{{- show('true', true) ~ show('none', none) ~ show('count', messages | length) ~ show('half', 1 / 2) }}
{{ messages | tojson }}
{{ messages[0] | tojson(indent=4) }}
{{ {'b': [1, 2.5, true, none], 'a': '<&>é'} | tojson(sort_keys=true, ensure_ascii=true, separators=(',', ':')) }}
{% for message in messages -%}
{% if not loop.last %}{% if message.content == '' %}{% continue %}{% endif %}{% endif %}
  {{ loop.index }}/{{ loop.length }} {{ message['role'] | upper }}: {{ message.content.split('\\n') | join('|') | replace('a', 'A') }}
    {{- ', next ' + loop.nextitem.role if loop.nextitem is defined else ', end' }}
{% endfor %}
{%- for key, value in messages[-1].items() %}[{{ key }}:{{ value | length }}]{% endfor %}
{% if add_generation_prompt %}{{ (['<|im_start|>'] + ['assistant', '\\n']) | join }}{% endif %}"""
