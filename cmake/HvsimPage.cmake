# hvsim_page_assets(<room>): the files of a run's page (analysis/page/web/) and the charting library
# become data of the room's library.
function(hvsim_page_assets room)
  find_file(HVSIM_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH REQUIRED)
  set(assets ${CMAKE_SOURCE_DIR}/analysis/page/assets.S)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/analysis/page/web/*)
  target_sources(hvsim_${room} PRIVATE ${assets})
  set_source_files_properties(${assets} PROPERTIES
    OBJECT_DEPENDS "${files};${HVSIM_CHART_JS}"
    COMPILE_OPTIONS "-I${CMAKE_SOURCE_DIR}"
    COMPILE_DEFINITIONS "HVSIM_CHART_JS=\"${HVSIM_CHART_JS}\"")
endfunction()
