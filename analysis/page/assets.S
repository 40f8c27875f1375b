// The files of the page, as data of the program. HVSIM_CHART_JS is the installed library's path.
.macro FILES name, files:vararg
    .global \name
\name:
    .irp file, \files
    .incbin "\file"
    .endr
    .global \name\()_end
\name\()_end:
    .byte 0
.endm

    .section .rodata
    FILES hvsim_page_html, analysis/page/web/page.html
    FILES hvsim_page_style, analysis/page/web/page.css
    FILES hvsim_page_script, analysis/page/web/text.js, analysis/page/web/charts.js, analysis/page/web/report.js
    .global hvsim_page_charts
hvsim_page_charts:
    .incbin HVSIM_CHART_JS
    .global hvsim_page_charts_end
hvsim_page_charts_end:
    .byte 0
    .section .note.GNU-stack, "", @progbits
