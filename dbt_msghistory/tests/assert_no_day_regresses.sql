{#-
    Days of which messages lacks rows that the loaded tables have: a build has missed a change. Run dbt build with
    --full-refresh.
-#}
select * from ({{ msghistory.built_and_loaded() }}) as days where built < loaded
