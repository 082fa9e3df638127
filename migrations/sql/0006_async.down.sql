DROP TABLE async_content;
DROP TABLE async_request;
