{{ config(severity='warn') }}

{#- Days of which rows were deleted from the loaded tables after an earlier build. They stay in messages. -#}
select * from ({{ msghistory.built_and_loaded() }}) as days where built > loaded
